title = Password of two-step verification
open =
    You are connecting a Telegram account to your gateway. Type the password that this account is protected with; Telegram checks it, and the gateway does not keep it.
hint = Your hint: { $hint }
password = Password
submit = Connect the account
forgotten = If you don't remember it, go back to the bot: it knows other ways.
tries = { $tries ->
        [one] One attempt is left.
       *[other] { $tries } attempts are left.
    }
connected-title = Connected
connected = The account is connected. Go back to the chat with the bot; this page may be closed.
refused-title = Not connected
refused = The password was right, but the account could not be connected. The bot says why.
spent-title = Too many wrong passwords
spent = This link takes no more attempts. In the chat with the bot, press “A new link”, or take another way.
expired-title = This link is not valid any more
expired = It works once, and for ten minutes. In the chat with the bot, ask for a new link.
busy-title = Too many attempts
busy = Too many attempts have come from your network. Wait ten minutes, and ask the bot for a new link.
refusal-wrong-password = That is not the password.
refusal-flood = Telegram takes no more attempts now.
refusal-flood-until = Telegram takes no more attempts now. Try again in { $minutes } min.
refusal-offline = Telegram can't be reached just now. Try again.
refusal-failed = Telegram refused, and calls it “{ $detail }”.
refusal-form = The form was not sent by this page. Allow cookies for it, and type the password again.
