### What the bot says in English. Values are escaped before they get here; <b>, <i>, <code> and <pre> are Telegram's HTML.

## Everywhere

back = « Back
cancel = ✖️ Cancel
cancelled = Cancelled
refresh = 🔄 Refresh
saved = Saved
none = –
unchanged = Nothing has changed
to-home = « Menu
to-sessions = 📱 Sessions
to-lines = ☎️ Lines
to-calls = 📋 Calls
to-language = 🌐 Language
to-help = ❓ Help
connect = ➕ Connect a session

complaint = ⚠️ { $what }
note = ✅ { $what }
gone = This is not there any more.
stale = This button is from another time. Send /start for a fresh menu.
fault = Sorry, something went wrong here. It is in the gateway's log; please try again.
not-now = Sorry, I can't do that right now. Please try again in a moment.
not-expected = I did not ask for anything just now. Here is the menu.
no-answer = I can't use that here. My last question still stands; /cancel gives it up.
stranger = Sorry, this bot is only for the people who run it.

duration-hours =
    { $n ->
        [one] { $n } hour
       *[other] { $n } hours
    }
duration-minutes =
    { $n ->
        [one] { $n } minute
       *[other] { $n } minutes
    }
duration-seconds =
    { $n ->
        [one] { $n } second
       *[other] { $n } seconds
    }

command-start = The menu
command-gateway = Telegram sessions: connect, settings
command-lines = Lines to telephone exchanges
command-calls = Calls, now and before
command-why = Why the last failed call failed
command-language = Language
command-cancel = Give up what was begun
command-help = How it works

## Menu, help, language

home =
    <b>SIP gateway</b>

    Telegram users call your business in Telegram, and your telephone exchange (PBX) rings; the PBX calls Telegram users through it.
home-empty = Nothing is connected yet. Begin with a session: the Telegram account that takes the calls.
home-state =
    { $sessions ->
        [one] { $sessions } session
       *[other] { $sessions } sessions
    } and { $lines ->
        [one] { $lines } line
       *[other] { $lines } lines
    } are connected.
help =
    <b>How it works</b>

    <b>1.</b> /gateway – connect a <b>session</b>: an ordinary Telegram account that your customers call. The gateway joins it as one more device.
    <b>2.</b> /lines – add a <b>line</b>: the way to your PBX. Either the PBX registers with the gateway, or the gateway with the PBX, or they know each other by address.
    <b>3.</b> Call the session's account in Telegram: your PBX rings.

    /calls – who called, and how it ended
    /why – why the last failed call failed
    /language – English, русский

    Buttons show how things are now; one tap changes them. I never ask for a password of Telegram.
language = <b>Language</b>

## Sessions

sessions =
    <b>Sessions</b>
    { $sessions ->
        [one] One Telegram account is connected.
       *[other] { $sessions } Telegram accounts are connected.
    } Tap one to see how it is and to change it.
sessions-none =
    <b>Sessions</b>
    No Telegram account is connected yet. A session is an ordinary Telegram account; a separate one for the business is best.
back-to-sessions = « Sessions

account-state-online = Online
account-state-offline = Offline
account-state-flood-limited = Telegram limits its calls
account-state-logged-out = Logged out
account-state-banned = Banned by Telegram

session-title =
    <b>{ $name }</b>
    +{ $phone } { $username }
session-status = { $light } { $status }
session-detail = <i>{ $detail }</i>
status-until = Calls out are refused until { $when }.
session-calls = Calls now: { $calls } of at most { $limit }
session-limit = Calls at once: { $limit }
session-lines = ☎️ Lines: { $lines }
session-disconnect = 🔌 Disconnect
session-limit-ask =
    <b>{ $name }</b>

    How many calls may it have at the same time? With 1, Telegram itself tells further callers that it is busy.
switch-on = ✅ On
switch-off = ⏸ Off

disconnect-sure =
    <b>Disconnect { $name }?</b>

    The gateway logs out of this Telegram account and forgets it; its calls end. { $lines ->
        [0] It has no lines.
        [one] Its line can stay for when the same account is connected again, or be deleted too.
       *[other] Its { $lines } lines can stay for when the same account is connected again, or be deleted too.
    }
disconnect-keep = 🔌 Yes, disconnect
disconnect-all =
    { $lines ->
        [one] 🗑 Disconnect and delete its line
       *[other] 🗑 Disconnect and delete its { $lines } lines
    }
disconnected = ✅ The session is disconnected.

## Connecting a session

wizard-storage =
    <b>Connect a session · 1 of 3</b>

    Where shall the login of the Telegram account be kept? This can't be changed later.
wizard-storage-gateway = 💾 On this gateway, encrypted
wizard-storage-own = 🏠 In my own storage
wizard-own-later = Own storage is not there yet; it comes in a later version. For now logins are kept encrypted on this gateway.
wizard-phone =
    <b>Connect a session · 2 of 3</b>

    Send me the phone number of the Telegram account, with its country code, such as <code>+44 20 7946 0123</code>.

    No number at hand? Scan a QR code with the account's app instead.
wizard-by-qr = 🔳 By QR code
wizard-by-number = 🔢 By phone number
wizard-by-terminal = 🖥 At the terminal
wizard-other-number = ✏️ Another number
wizard-begin = ➕ Begin again
wizard-wait = ⏳ Asking Telegram…
wizard-again =
    <b>Please begin again</b>

    That login is no longer under way: it took too long, or the gateway was restarted meanwhile. Nothing was connected and nothing is left over.

wizard-way-app = <b>Connect a session · 3 of 3</b>

    Telegram has sent a code to the account's other devices: look at the chat “Telegram” there.
wizard-way-sms = <b>Connect a session · 3 of 3</b>

    Telegram has sent a code by SMS.
wizard-way-call = <b>Connect a session · 3 of 3</b>

    Telegram calls the number and reads a code out.
wizard-way-email-code = <b>Connect a session · 3 of 3</b>

    Telegram has sent a code to the account's login e-mail.
wizard-way-fragment-sms = <b>Connect a session · 3 of 3</b>

    The number belongs to Fragment: the code is shown at fragment.com.
wizard-way-other = <b>Connect a session · 3 of 3</b>

    Telegram has sent a code ({ $way }).
wizard-code = Tap it in below. <b>Don't type it as a message</b>: Telegram voids a code that it sees in a chat.
wizard-typed = ⚠️ Telegram voids codes that are typed into a chat, so that one is worth nothing now. Ask for a new one with “Send again”, and tap it in below.
wizard-resend = 🔁 Send again
key-done = ✔️ Done

wizard-password =
    <b>Two-step verification</b>

    The code was right. This account is protected by a password as well, and I never ask for passwords in a chat.
wizard-hint = Your hint: <i>{ $hint }</i>
wizard-password-ways = Ways on:
wizard-on-page = • <b>On a page of the gateway</b> you type the password yourself; it stays as it is.
wizard-on-email = • <b>A code by e-mail</b> – note that this turns the password off.
wizard-on-terminal = • <b>At the gateway's terminal</b> the operator logs the account in, and you type the password there.
wizard-password-no-email =
    The account has no recovery e-mail. So the password has to be typed at the gateway's terminal, or turned off in the app for now: Settings → Privacy and Security → Two-Step Verification.
wizard-never-password = ⚠️ Please never send passwords in a chat. I have deleted your message unread. If it was your password, change it.
wizard-by-page = 🔐 On a page
wizard-page =
    <b>The password, on a page of the gateway</b>

    Open the page and type the password there. The link is yours alone: it works once, and for ten minutes. Afterwards it goes on here by itself.
wizard-page-open = 🔐 Open the page
wizard-page-again = 🔁 A new link
wizard-page-spent = ⚠️ Too many wrong passwords came from the page, so its link is void.
wizard-page-expired = The link to the page is not valid any more; ask for a new one.
wizard-by-email = ✉️ A code by e-mail
wizard-warning =
    ⚠️ <b>This turns two-step verification off</b>

    Telegram sends a code to the recovery e-mail. Logging in with it <b>removes the password</b> of the account. A new one can't be set here, because passwords don't belong into a chat: set one in the app right afterwards.
wizard-warning-yes = ✉️ I understand, send the code
wizard-recovery =
    <b>Code by e-mail</b>

    Telegram has sent a code to <code>{ $email }</code>. Tap it in, or type it as a message: this one is not voided.
wizard-recovery-again = 🔁 Send another e-mail
wizard-password-is-off = ⚠️ Two-step verification is now <b>off</b>. Set a new password in the app: Settings → Privacy and Security.

wizard-qr =
    <b>Scan this with the account's app</b>

    Settings → Devices → Link Desktop Device. The picture renews itself; a screenshot is soon worth nothing.

    If you read this on the phone that has the account, open the chat on another screen.
wizard-terminal =
    <b>At the gateway's terminal</b>

    There the operator connects the account, and passwords can be typed unseen:

    <code>siptg session login</code>

    It tells the number of the new session. Then it is made yours, with that number in place of N:

    <code>siptg session set N --administrator { $id }</code>

    Here it will be in /gateway.
connected = 🎉 <b>Connected.</b> From now on calls to this account reach the gateway.

refused = ⚠️ { $sentence }
retry-after = Try again in { $wait }.
refusal-number-invalid = Telegram knows no such phone number. Give it with its country code, such as +44 20 7946 0123.
refusal-number-banned = Telegram has banned this number. Only Telegram can lift that: write to recover@telegram.org. Another number can be connected.
refusal-not-registered = Nobody has a Telegram account with this number. Make one in a Telegram app first, then come back.
refusal-flood = Telegram takes no more attempts for this number for now.
refusal-wrong-code = That was not the code. Please try again.
refusal-code-expired = That code has expired. Ask for a new one with the button below.
refusal-no-other-way = Telegram has no other way to send the code. Use the one that it has sent, or wait and begin again.
refusal-email-wanted = Telegram wants a login e-mail for this account first. Set one in a Telegram app, then come back.
refusal-wrong-password = That was not the password.
refusal-unfit-password = Telegram does not take this new password.
refusal-no-recovery = This account has no recovery e-mail, so the password can't be reset from here.
refusal-api-refused = Telegram refuses this gateway's API id. Its operator has to correct it: <code>siptg check</code> tells how.
refusal-offline = Telegram can't be reached from the gateway right now. Try again in a moment.
refusal-out-of-step = That does not fit where we are in the login. Please begin again.
refusal-failed = Telegram refused, and calls it “{ $detail }”.

## Lines

line-kind-pbx-registers = PBX → gateway: the PBX registers with us
line-kind-we-register = Gateway → PBX: we register with the PBX
line-kind-trunk = IP ⇿ IP: by address, nobody registers

line-health-off = Switched off
line-health-waiting = Waiting
line-health-up = Up
line-health-down = Down
line-health-refused = Refused

lines =
    <b>Lines</b>
    { $lines ->
        [one] One line to a PBX.
       *[other] { $lines } lines to PBXs.
    } The number before a name is its priority: a call from Telegram rings the lowest first, equal ones together.
lines-none =
    <b>Lines</b>
    No line yet. A line is the way to your PBX.
lines-no-session =
    <b>Lines</b>
    A line belongs to a session, and none is connected yet: /gateway
lines-of = ☎️ { $session }
line-new = ➕ New line
back-to-lines = « Lines
back-to-line = « The line

line-title =
    ☎️ <b>{ $name }</b> · { $session }
    { $kind }
line-state =
    { $light } <b>{ $health }</b>
    { $detail }
line-our-address = The PBX sends its calls to <code>{ $address }</code> ({ $transport }).
line-rtt = It answers in { $ms } ms.
line-credentials = 🔑 Login and password
line-rules = 🔀 Number rules
line-routing = 🧭 Routing: { $recipe }
line-rename = ✏️ Rename
line-delete = 🗑 Delete
line-delete-sure =
    <b>Delete the line “{ $name }”?</b>

    Calls on it go on to their end; after that the PBX can't reach Telegram through it.
line-delete-yes = 🗑 Yes, delete it
line-deleted = The line is deleted
line-created = The line is created
line-transport-only = This gateway offers nothing else than { $transport }.
srtp-on = 🔒 SRTP: on
srtp-off = 🔓 SRTP: off

line-new-session = <b>New line</b>

    For which session?
line-new-kind =
    <b>New line for { $session }</b>

    How do the PBX and the gateway find each other?

    • <b>PBX → gateway</b>: you get a login and a password to type into the PBX. Works behind any router; the usual choice.
    • <b>Gateway → PBX</b>: you give me an extension's login and password of the PBX.
    • <b>IP ⇿ IP</b>: both have fixed addresses and trust each other by them.
line-new-step =
    <b>New line · { $step } of { $steps }</b>
    { $kind }
line-new-name = Line { $number }
field-asked = <b>{ $field }</b>

credentials =
    🔑 <b>Type this into the PBX</b>

    Server: <code>{ $server }</code> ({ $transport })
    Login: <code>{ $login }</code>
    Password: <code>{ $password }</code>

    <i>This message deletes itself after { $seconds } seconds.</i>
credentials-close = 🗑 Delete it now
credentials-reset = ♻️ New password
line-credentials-below = They are in the message below
line-reset =
    <b>A new password for “{ $name }”?</b>

    The old one stops working at once: the PBX stays away until it has the new one.
line-reset-yes = ♻️ Yes, a new password

field-is = { $field }: { $value }
field-title = <b>{ $field }</b> · { $name }
field-now = Now: <code>{ $value }</code>
field-clear = 🧹 None
field-default = ↩️ As at first

field-name = Name
field-name-help = Send me a name, up to 64 characters, such as “Head office”.
field-login = Login
field-login-help = Send me the login that the PBX expects: up to 64 letters, digits and <code>. _ + -</code>, such as <code>100</code> or <code>office-7</code>.
field-password = Password
field-password-help = Send me the password that the PBX expects. I delete your message at once, and show the password to nobody.
field-host = Address
field-host-help = Send me the address of the PBX: a host name or an IP address, with a port after a colon if it is not the usual one, such as <code>pbx.example.com</code> or <code>203.0.113.5:5070</code>.
field-proxy = Proxy
field-proxy-help = Send me the address that requests go to, if it is another one than the PBX's own domain, such as <code>sbc.example.com:5061</code>.
field-trusted = Trusted IPs
field-trusted-help = Send me the addresses and subnets that the PBX calls from, apart by commas, such as <code>203.0.113.5, 198.51.100.0/28</code>. For a PBX that registers, only these may use its login.
field-header = Header
field-header-help = Several lines between the same two hosts are told apart by a SIP header that the PBX sends. Send me <code>Field:Value</code>, such as <code>X-Line:office</code>.
field-transport = Transport
field-codecs = Codecs
field-codecs-help = Tap to take one in or out. The order of tapping is the order of preference: 1 is asked for first. G.722 sounds best; G.711 (alaw, ulaw) is what every PBX has.
field-dtmf = DTMF
field-dtmf-help = How keypad digits travel to the PBX. <b>rfc4733</b> suits nearly every PBX; <b>info</b> and <b>inband</b> are for those that want it otherwise.
field-priority = Priority
field-priority-help = A call from Telegram rings all lines of the lowest number together; the next number rings only when all of these failed. Tap one, or send me a number from 1 to 99.
field-number = Number
field-number-help = Send me the number on the PBX that rings when somebody calls in Telegram, such as <code>200</code>: an extension, a ring group, an IVR. Without one, the account's own phone number is dialled.
field-number_rules = Number rules
field-number_rules-help =
    Send me the rules, one on each line: <code>regex=replacement</code>. They are applied in order. A rule without <code>=</code> is a filter: if it does not match, this line does not suit. A single <code>=</code> clears all.

    Such as: <code>^8(?=\d{"{"}10{"}"}$)=+7</code>
field-caller_ids = Caller ID
field-caller_ids-help =
    What the PBX sees as the caller's number. Send me templates, one on each line, with <code>{"{phone}"}</code>, <code>{"{username}"}</code>, <code>{"{userid}"}</code>; the first whose values all exist is taken.
field-caller_names = Caller name
field-caller_names-help =
    What the PBX sees as the caller's name. Send me templates, one on each line, with <code>{"{name}"}</code>, <code>{"{name_ascii}"}</code> (in Latin letters), <code>{"{phone}"}</code>, <code>{"{username}"}</code>, <code>{"{userid}"}</code>; the first whose values all exist is taken.

rules-title = 🔀 <b>Number rules</b> · { $name }
rules-now = <pre>{ $rules }</pre>
rules-none = (no rules: the text itself is the number)
rules-help =
    They make a number of the text of a message, or of a number chosen in the chat. <code>.*=</code> makes any text empty: then the line's own number is dialled.
rules-change = ✏️ Change
rules-try = 🧪 Try
rules-default = ↩️ .*=
rules-clear = 🧹 No rules
rules-try-title = 🧪 <b>Try the number rules</b> · { $name }
rules-try-help = Send me any text, and I show what would be dialled. Nobody is called.
rules-tried = “{ $text }”
rules-number = <b>{ $number }</b>
rules-unsuited = this line does not suit, another one is tried

## Routing

recipe-kind-number = ☎️ One number
recipe-kind-hours = 🕘 By the hours
recipe-kind-ivr = 🔢 Through a menu (IVR)
recipe-kind-context = 🛠 A context of the dialplan
routing-title = 🧭 <b>Routing</b> · { $name }
routing-straight = Calls from Telegram go straight to the line's number.
routing-now = Calls from Telegram go by the recipe <b>{ $recipe }</b>:
routing-text = <pre>{ $text }</pre>
routing-help = Pick a recipe. You see what it becomes in the dialplan before anything is changed.
routing-operators = On this gateway only its operator changes this.
routing-clear = 🧹 Straight to the number
routing-step = <b>{ $recipe }</b> · { $step } of { $steps }
routing-skip = ⏭ Leave empty
routing-preview = <b>{ $recipe }</b>: this is what the dialplan will have
routing-apply = ✅ Apply
routing-number-number = Send me the number on the PBX that all calls go to, such as <code>200</code>.
routing-hours-times = Send me from when until when you are open, such as <code>09:00-18:00</code>.
routing-hours-days = Send me on which days, such as <code>mon-fri</code> or <code>mon-thu,sat</code>. Left empty: every day.
routing-hours-zone = Send me the time zone, such as <code>Europe/Berlin</code>. Left empty: that of the gateway's machine.
routing-hours-open_number = Send me the number for opening hours, such as <code>200</code>. Left empty: the line's own number.
routing-hours-closed_number = Send me the number for the rest of the time, such as <code>700</code>. Left empty: such calls are declined.
routing-ivr-number = Send me the number of the menu on the PBX, such as <code>500</code>.
routing-ivr-digits = Send me the digits to press there for the caller, with <code>w</code> for half a second's pause, such as <code>ww1w2</code>.
routing-context-context = Send me the name of the context that a telecom engineer has written, such as <code>sales-menu</code>. It gets the number as the extension.

## Calls

calls = 📋 <b>Calls</b>, the newest first (times in UTC). Tap one to see why it ended.
calls-none = 📋 No calls yet.
calls-of = ☎️ { $session }
calls-living =
    { $calls ->
        [one] <b>One call now</b>
       *[other] <b>{ $calls } calls now</b>
    }
call-living = { $what } – { $state } { $clock }
calls-emoji = 🔐 The emoji are the call's key. Read them to the Telegram user: if he sees the same ones in his app, nobody sits between.
back-to-calls = « Calls
call =
    { $mark } <b>{ $caller } → { $dialled }</b>
    { $way }
    { $when }, talked { $talked }
call-line = Line: { $line }
call-line-gone = (deleted)
call-ended = <b>{ $why }</b> (it was { $state })
call-detail = <i>{ $detail }</i>
call-audio = 🎧 <b>Audio</b>: { $codec }, { $path ->
        [direct] directly to the user's app
        [relay] to the user over a relay
        [reflector] to the user over Telegram's reflector
       *[unknown] to the user
    } ({ $engine })
call-from-pbx = From the PBX: { $packets ->
        [0] <b>no packet</b>
       *[other] { $packets } packets, the first after { $first } ms, { $lost } lost, { $made_up } ms made up
    }
call-from-user = From the user: { $packets ->
        [0] <b>no packet</b>
       *[other] { $packets } packets, the first after { $first } ms, { $lost } lost, { $made_up } ms made up
    }
call-rtt = To the user and back { $ms } ms
call-jitter = jitter { $ms } ms
call-loss-to-user = { $percent } % lost on the way to him
call-spare-engine = The gateway's other engine carried it, because the first had failed with this user.
audio-fault-nothing-from-pbx = The PBX sent no audio, so the user heard nothing. Most often its packets don't reach the gateway: a firewall between them, a PBX behind NAT that gives its inner address, or “direct media” to a telephone that can't reach the gateway.
audio-fault-nothing-from-user = The user's app sent no audio, so the PBX heard nothing: a muted or forbidden microphone, or a network that lets nothing out. If it happens to every user, look at the gateway's own firewall: UDP must go out and come back.
audio-fault-late-from-pbx = The PBX's audio came late: the user heard silence at first. Look at what the PBX does after it answers.
audio-fault-late-from-user = The user's audio came late: the PBX heard silence at first. His app or his network took its time.
audio-fault-loss-from-pbx = Much was lost between the PBX and the gateway: look at that network.
audio-fault-loss-from-user = Much of what the user said was lost on its way: most likely his mobile network or Wi-Fi.
audio-fault-loss-to-user = Much of what was said to the user never reached his app: most likely his mobile network or Wi-Fi.
audio-fault-slow = The way to the user is long, so people talk over each other. It is often shorter without a relay: allow P2P calls in the recommended settings.
why = <b>The last call that failed</b>
why-none = 👍 No call has failed lately.

direction-sip-to-telegram = From the PBX to Telegram
direction-telegram-to-sip = From Telegram to the PBX

call-state-offered = being offered
call-state-dialling = dialling
call-state-alerting = ringing
call-state-answering = being answered
call-state-up = up
call-state-ending = ending
call-state-ended = ended

hangup-cause-normal = Ended as usual: somebody hung up.
hangup-cause-cancelled = The caller gave up before an answer.
hangup-cause-busy = Busy.
hangup-cause-declined = Declined.
hangup-cause-no-answer = Nobody answered.
hangup-cause-answered-elsewhere = It was answered on another line or device.
hangup-cause-privacy = The user does not take calls from this account: his privacy settings. He can add the account to his contacts.
hangup-cause-unknown-number = Nobody is known by this number.
hangup-cause-invalid-number = What was dialled is no number or name of a known form. Look at the line's number rules and caller IDs.
hangup-cause-self-call = An account can't call itself.
hangup-cause-flood = Telegram limits this account's calls for now. It helps to call fewer strangers, and to wait.
hangup-cause-offline = The session was not connected to Telegram. Look at it in /gateway.
hangup-cause-incompatible-peer = The user's app can't take such calls; an update may help.
hangup-cause-over-limit = There were as many calls as may be at once: by the session's limit or the subscription.
hangup-cause-no-line = No line suits the call, or all are switched off. Look at /lines.
hangup-cause-line-down = The PBX could not be reached. Look at the line's state in /lines.
hangup-cause-forbidden = The PBX refused the gateway: a wrong login or password, or its own rules.
hangup-cause-congestion = The PBX or Telegram was overloaded or had a fault.
hangup-cause-incompatible-media = No codec suits both sides. Look at the line's codecs.
hangup-cause-media-lost = Audio never came, or stopped for good. Most likely a firewall holds it back.
hangup-cause-shutdown = The gateway was being stopped.
hangup-cause-internal = A fault of the gateway's own; its log tells more.

## Recommended settings

session-recommended = ⚙️ Recommended settings
recommended-title = ⚙️ <b>Recommended settings</b> · { $name }
recommended-reading = ⏳ Reading its settings from Telegram…
recommended-help = So that calls ring at the gateway, and only there. This is how Telegram says they are; tap one to set it.
recommended-done = 👍 All is as it should be.
recommended-all = ✅ Apply all
recommended-then-line = ☎️ Next: a line to the PBX
recommended-pending = ⏳ <b>{ $setting }</b>: Telegram allows it only after { $when } ({ $detail }), because the login is new. I try again by myself then, and tell you how it ended.
recommended-refused = ⚠️ <b>{ $setting }</b>: Telegram refused ({ $detail }).
recommended-calls-elsewhere-off = Disable calls on other devices
recommended-calls-from-all = Allow calls from all users
recommended-p2p-from-all = Allow P2P calls from everybody
recommended-no-groups = Disallow adding to groups

## How a session behaves in its chats

session-chat = 💬 Chats
chat-title = 💬 <b>In the chats</b> · { $name }
chat-help =
    What Telegram users shall see in the chat with this account. ⏳ This version only keeps these settings; a later one acts on them.

    <b>Keypad</b>: digits to press during a call, gone when it ends.
    <b>Redial, Lines</b>: buttons after a call, to be connected once more.
    <b>Messages</b>: what is done with texts that are written to the account.
chat-keypad_in = Keypad, calls from Telegram
chat-keypad_out = Keypad, calls to Telegram
chat-redial = Redial
chat-lines = Lines
chat-messages = Message processing
chat-callback = Callback
chat-inline = Inline bot
chat-autoreply = Autoreply
chat-inline_bot = Bot
chat-inline_query = Query
chat-autoreply_text = Text
chat-inline_bot-help = Send me the username of an inline bot, such as <code>@gif</code>. It is asked when no line suits a message, and its first result is posted.
chat-inline_query-help = Send me what the inline bot is asked, up to 256 characters, with <code>{"{text}"} {"{userid}"} {"{username}"} {"{phone}"} {"{name}"}</code>, such as <code>{"{text} {phone}"}</code>.
chat-autoreply_text-help = Send me the text that every message is answered with, up to 4096 characters, such as “We are open from 9 to 18. Please call us.”

## Handing a session over

session-handover = 🎁 Hand over
session-offered = 🎁 It is offered to <a href="tg://user?id={ $id }">{ $id }</a>, who has not answered yet.
handover-ask =
    🎁 <b>Hand over { $name }</b>

    Who shall administer it from now on? Send me his contact, a message forwarded from him, or his Telegram id. He has to accept; until then all stays as it is.
handover-nobody = That tells me nobody. Some people hide who they are in forwarded messages: then I need the number of their account, such as 123456789.
handover-offered = It is offered to him
handover-waits =
    🎁 <b>{ $name }</b> is offered to <a href="tg://user?id={ $id }">{ $id }</a>, who has not answered yet.

    He finds the offer in this bot under /gateway. If he has never written to me he has to send me /start first.
handover-withdraw = ↩️ Take the offer back
handover-withdrawn = The offer is taken back
handover-give-up = 🚪 Give it up, to nobody
handover-give-up-sure =
    <b>Give up { $name }?</b>

    It stays connected, with its lines, and calls go on; but you won't see it any more. Only the operator of the gateway can give it to somebody.
handover-give-up-yes = 🚪 Yes, give it up
handover-given-up = You have given it up
handover-offer = 🎁 Offered to you: { $name }
handover-offered-to-you =
    🎁 <b>{ $session }</b> is offered to you

    If you accept, you administer this session with its lines from now on.
handover-accept = ✅ Accept
handover-decline = ✖️ Decline
handover-accepted-by-you = It is yours now
handover-declined-by-you = You have declined. Nothing has changed.

## Subscription

unlimited = no limit
subscription = 🎫 Subscription: calls at once { $calls }, sessions { $sessions }, minutes { $used } of { $minutes } this month, until { $expires }.
subscription-trouble = ⚠️ { $trouble }
coverage-unlimited = Nothing is limited.
coverage-covered = The subscription covers this session.
coverage-not-shared = The subscription is not shared with this session: it can't have calls.
coverage-too-many = The subscription covers fewer sessions than share it: this one can't have calls.
coverage-expired = The subscription has expired: this session can't have calls.
share-on = 🎫 Shares the subscription: yes
share-off = 🎫 Shares the subscription: no

## Notifications

notice = { $light } { $text }
notice-to-line = ☎️ Open the line
notice-to-session = 📱 Open the session
notice-session-lost = { $banned ->
        [yes] <b>{ $session }</b> was banned by Telegram ({ $detail }). Its calls don't come through any more.
       *[no] <b>{ $session }</b> was logged out of Telegram ({ $detail }). Connect it again: its lines and settings are kept.
    }
notice-session-lost-over = <b>{ $session }</b> is connected to Telegram again. All is well.
notice-flood = Telegram limits calls from <b>{ $session }</b> until { $until }. Calls to it are not concerned.
notice-flood-over = Telegram does not limit <b>{ $session }</b> any more. All is well again.
notice-line-down =
    The line <b>{ $line }</b> of { $session } is down.
    <i>{ $detail }</i>
notice-line-down-over = The line <b>{ $line }</b> of { $session } is up again. All is well.
notice-no-line = { $caller } called <b>{ $session }</b>, and there was no line for the call. Add one, or switch one on.
notice-no-line-over = <b>{ $session }</b> has a line for calls again. All is well.
notice-setting-pending = <b>{ $session }</b>: Telegram allows “{ $setting }” only after { $until } ({ $detail }). I try again by myself then.
notice-setting-pending-over = <b>{ $session }</b>: “{ $setting }” is applied now.
notice-setting-refused = <b>{ $session }</b>: Telegram refused “{ $setting }” ({ $detail }). I don't try any more; you may.
notice-handover-offered =
    { $from ->
        [nobody] <b>{ $session }</b> is offered to you.
       *[other] <a href="tg://user?id={ $from }">{ $from }</a> offers you <b>{ $session }</b>.
    } If you accept, you administer this session with its lines from now on.
notice-handover-accepted = <a href="tg://user?id={ $to }">{ $to }</a> has accepted <b>{ $session }</b> and administers it now.
notice-handover-declined = <a href="tg://user?id={ $to }">{ $to }</a> has declined <b>{ $session }</b>. It stays yours.
