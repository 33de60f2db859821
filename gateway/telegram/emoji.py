"""The pictures of Telegram's key verification, in the order that every app agrees on.

Source: https://core.telegram.org/api/end-to-end/voice-calls#key-verification.
"""

from __future__ import annotations

from typing import Final

_TABLE: Final = """
    😉 😍 😛 😭 😱 😡 😎 😴 😵 😈 😬 😇 😏 👮 👷 💂 👶 👨 👩 👴 👵 😻 😽 🙀 👺 🙈 🙉 🙊 💀 👽 💩 🔥 💥 💤 👂 👀 👃
    👅 👄 👍 👎 👌 👊 ✌ ✋ 👐 👆 👇 👉 👈 🙏 👏 💪 🚶 🏃 💃 👫 👪 👬 👭 💅 🎩 👑 👒 👟 👞 👠 👕 👗 👖 👙 👜 👓 🎀
    💄 💛 💙 💜 💚 💍 💎 🐶 🐺 🐱 🐭 🐹 🐰 🐸 🐯 🐨 🐻 🐷 🐮 🐗 🐴 🐑 🐘 🐼 🐧 🐥 🐔 🐍 🐢 🐛 🐝 🐜 🐞 🐌 🐙 🐚 🐟
    🐬 🐋 🐐 🐊 🐫 🍀 🌹 🌻 🍁 🌾 🍄 🌵 🌴 🌳 🌞 🌚 🌙 🌎 🌋 ⚡ ☔ ❄ ⛄ 🌀 🌈 🌊 🎓 🎆 🎃 👻 🎅 🎄 🎁 🎈 🔮 🎥 📷
    💿 💻 ☎ 📡 📺 📻 🔉 🔔 ⏳ ⏰ ⌚ 🔒 🔑 🔎 💡 🔦 🔌 🔋 🚿 🚽 🔧 🔨 🚪 🚬 💣 🔫 🔪 💊 💉 💰 💵 💳 ✉ 📫 📦 📅 📁
    ✂ 📌 📎 ✒ ✏ 📐 📚 🔬 🔭 🎨 🎬 🎤 🎧 🎵 🎹 🎻 🎺 🎸 👾 🎮 🃏 🎲 🎯 🏈 🏀 ⚽ ⚾ 🎾 🎱 🏉 🎳 🏁 🏇 🏆 🏊 🏄 ☕
    🍼 🍺 🍷 🍴 🍕 🍔 🍟 🍗 🍱 🍚 🍜 🍡 🍳 🍞 🍩 🍦 🎂 🍰 🍪 🍫 🍭 🍯 🍎 🍏 🍊 🍋 🍒 🍇 🍉 🍓 🍑 🍌 🍐 🍍 🍆 🍅 🌽
    🏡 🏥 🏦 ⛪ 🏰 ⛺ 🏭 🗻 🗽 🎠 🎡 ⛲ 🎢 🚢 🚤 ⚓ 🚀 ✈ 🚁 🚂 🚋 🚎 🚌 🚙 🚗 🚕 🚛 🚨 🚔 🚒 🚑 🚲 🚠 🚜 🚦 ⚠ 🚧
    ⛽ 🎰 🗿 🎪 🎭 🇯🇵 🇰🇷 🇩🇪 🇨🇳 🇺🇸 🇫🇷 🇪🇸 🇮🇹 🇷🇺 🇬🇧 1⃣ 2⃣ 3⃣ 4⃣ 5⃣ 6⃣ 7⃣ 8⃣ 9⃣ 0⃣ 🔟 ❗ ❓ ♥ ♦ 💯 🔗 🔱 🔴 🔵 🔶 🔷
"""
EMOJI: Final = tuple(_TABLE.split())
