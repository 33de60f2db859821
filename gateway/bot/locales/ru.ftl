### Что бот говорит по-русски. Значения экранируются до того, как попадают сюда; <b>, <i>, <code> и <pre> – это HTML Telegram.

## Везде

back = « Назад
cancel = ✖️ Отмена
cancelled = Отменено
refresh = 🔄 Обновить
saved = Сохранено
none = –
unchanged = Ничего не изменилось
to-home = « Меню
to-sessions = 📱 Сессии
to-lines = ☎️ Линии
to-calls = 📋 Звонки
to-language = 🌐 Язык
to-help = ❓ Справка
connect = ➕ Подключить сессию

complaint = ⚠️ { $what }
note = ✅ { $what }
gone = Этого здесь больше нет.
stale = Эта кнопка устарела. Отправьте /start, чтобы получить свежее меню.
fault = Извините, здесь что-то сломалось. Подробности – в журнале шлюза; попробуйте ещё раз.
not-now = Извините, сейчас не получается. Попробуйте ещё раз чуть позже.
not-expected = Сейчас я ничего не спрашивал. Вот меню.
no-answer = Это сюда не подходит. Мой последний вопрос ещё в силе; /cancel его отменит.
stranger = Извините, этот бот – только для тех, кто им управляет.

duration-hours =
    { $n ->
        [one] { $n } час
        [few] { $n } часа
       *[many] { $n } часов
    }
duration-minutes =
    { $n ->
        [one] { $n } минуту
        [few] { $n } минуты
       *[many] { $n } минут
    }
duration-seconds =
    { $n ->
        [one] { $n } секунду
        [few] { $n } секунды
       *[many] { $n } секунд
    }

command-start = Меню
command-gateway = Сессии Telegram: подключение, настройки
command-lines = Линии к телефонным станциям
command-calls = Звонки, сейчас и раньше
command-why = Почему не удался последний звонок
command-language = Язык
command-cancel = Отменить начатое
command-help = Как это работает

## Меню, справка, язык

home =
    <b>SIP-шлюз</b>

    Люди звонят вашей компании в Telegram – звонит ваша телефонная станция (АТС); и наоборот, АТС через шлюз звонит людям в Telegram.
home-empty = Пока ничего не подключено. Начните с сессии: это аккаунт Telegram, который принимает звонки.
home-state =
    Подключено: { $sessions ->
        [one] { $sessions } сессия
        [few] { $sessions } сессии
       *[many] { $sessions } сессий
    } и { $lines ->
        [one] { $lines } линия
        [few] { $lines } линии
       *[many] { $lines } линий
    }.
help =
    <b>Как это работает</b>

    <b>1.</b> /gateway – подключите <b>сессию</b>: обычный аккаунт Telegram, которому звонят ваши клиенты. Шлюз входит в него как ещё одно устройство.
    <b>2.</b> /lines – добавьте <b>линию</b>: путь к вашей АТС. Либо АТС регистрируется на шлюзе, либо шлюз на АТС, либо они знают друг друга по адресам.
    <b>3.</b> Позвоните этому аккаунту в Telegram: зазвонит АТС.

    /calls – кто звонил и чем кончилось
    /why – почему не удался последний неудачный звонок
    /language – English, русский

    Кнопки показывают, как сейчас; одно нажатие меняет. Пароль от Telegram я не спрашиваю никогда.
language = <b>Язык</b>

## Сессии

sessions =
    <b>Сессии</b>
    { $sessions ->
        [one] Подключён { $sessions } аккаунт Telegram.
        [few] Подключены { $sessions } аккаунта Telegram.
       *[many] Подключено { $sessions } аккаунтов Telegram.
    } Нажмите на него, чтобы увидеть состояние и настройки.
sessions-none =
    <b>Сессии</b>
    Пока не подключён ни один аккаунт Telegram. Сессия – это обычный аккаунт Telegram; лучше всего отдельный, для компании.
back-to-sessions = « Сессии

account-state-online = На связи
account-state-offline = Не на связи
account-state-flood-limited = Telegram ограничил звонки
account-state-logged-out = Вход завершён
account-state-banned = Заблокирован в Telegram

session-title =
    <b>{ $name }</b>
    +{ $phone } { $username }
session-status = { $light } { $status }
session-detail = <i>{ $detail }</i>
status-until = Исходящие звонки отклоняются до { $when }.
session-calls = Звонков сейчас: { $calls } из { $limit } возможных
session-limit = Звонков сразу: { $limit }
session-lines = ☎️ Линии: { $lines }
session-disconnect = 🔌 Отключить
session-limit-ask =
    <b>{ $name }</b>

    Сколько звонков может идти одновременно? При значении 1 сам Telegram отвечает остальным, что занято.
switch-on = ✅ Включено
switch-off = ⏸ Выключено

disconnect-sure =
    <b>Отключить { $name }?</b>

    Шлюз выйдет из этого аккаунта Telegram и забудет его; его звонки завершатся. { $lines ->
        [0] Линий у него нет.
       *[other] Линии (их { $lines }) можно оставить на случай, если этот аккаунт подключат снова, или тоже удалить.
    }
disconnect-keep = 🔌 Да, отключить
disconnect-all = 🗑 Отключить и удалить линии ({ $lines })
disconnected = ✅ Сессия отключена.

## Подключение сессии

wizard-storage =
    <b>Подключение сессии · 1 из 3</b>

    Где хранить вход в аккаунт Telegram? Потом это не изменить.
wizard-storage-gateway = 💾 На этом шлюзе, в зашифрованном виде
wizard-storage-own = 🏠 В собственном хранилище
wizard-own-later = Собственного хранилища пока нет, оно появится в одной из следующих версий. Сейчас вход хранится на этом шлюзе в зашифрованном виде.
wizard-phone =
    <b>Подключение сессии · 2 из 3</b>

    Пришлите номер телефона аккаунта Telegram с кодом страны, например <code>+7 495 123-45-67</code>.

    Номера нет под рукой? Отсканируйте QR-код приложением этого аккаунта.
wizard-by-qr = 🔳 По QR-коду
wizard-by-number = 🔢 По номеру телефона
wizard-by-terminal = 🖥 В терминале
wizard-other-number = ✏️ Другой номер
wizard-begin = ➕ Начать заново
wizard-wait = ⏳ Спрашиваю Telegram…
wizard-again =
    <b>Пожалуйста, начните заново</b>

    Этот вход уже не продолжается: прошло слишком много времени или шлюз перезапускался. Ничего не подключено, и ничего не осталось.

wizard-way-app = <b>Подключение сессии · 3 из 3</b>

    Telegram отправил код на другие устройства аккаунта: посмотрите там чат «Telegram».
wizard-way-sms = <b>Подключение сессии · 3 из 3</b>

    Telegram отправил код по SMS.
wizard-way-call = <b>Подключение сессии · 3 из 3</b>

    Telegram звонит на этот номер и диктует код.
wizard-way-email-code = <b>Подключение сессии · 3 из 3</b>

    Telegram отправил код на почту, заданную для входа в аккаунт.
wizard-way-fragment-sms = <b>Подключение сессии · 3 из 3</b>

    Это номер Fragment: код показан на fragment.com.
wizard-way-other = <b>Подключение сессии · 3 из 3</b>

    Telegram отправил код ({ $way }).
wizard-code = Наберите его кнопками ниже. <b>Не пишите его сообщением</b>: код, который Telegram увидел в чате, перестаёт действовать.
wizard-typed = ⚠️ Telegram отменяет коды, написанные в чате, поэтому этот уже не подойдёт. Запросите новый кнопкой «Отправить ещё раз» и наберите его кнопками ниже.
wizard-resend = 🔁 Отправить ещё раз
key-done = ✔️ Готово

wizard-password =
    <b>Двухэтапная аутентификация</b>

    Код верный. Но аккаунт защищён ещё и паролем, а паролей в чате я не спрашиваю никогда.
wizard-hint = Ваша подсказка: <i>{ $hint }</i>
wizard-password-ways = Дальше можно так:
wizard-on-page = • <b>На странице шлюза</b> вы вводите пароль сами; он остаётся как есть.
wizard-on-email = • <b>Код по почте</b> – учтите, что пароль при этом отключается.
wizard-on-terminal = • <b>В терминале шлюза</b> аккаунт подключает оператор, а вы вводите там пароль.
wizard-password-no-email =
    У аккаунта не задана почта для восстановления. Поэтому пароль придётся ввести в терминале шлюза или на время отключить в приложении: Настройки → Конфиденциальность → Двухэтапная аутентификация.
wizard-never-password = ⚠️ Пожалуйста, никогда не присылайте пароли в чат. Я удалил ваше сообщение, не читая. Если это был пароль, смените его.
wizard-by-page = 🔐 На странице
wizard-page =
    <b>Пароль – на странице шлюза</b>

    Откройте страницу и введите пароль там. Ссылка только для вас: она работает один раз и десять минут. Потом здесь всё продолжится само.
wizard-page-open = 🔐 Открыть страницу
wizard-page-again = 🔁 Новая ссылка
wizard-page-spent = ⚠️ Со страницы пришло слишком много неверных паролей, и её ссылка больше не действует.
wizard-page-expired = Ссылка на страницу больше не действует; попросите новую.
wizard-by-email = ✉️ Код по почте
wizard-warning =
    ⚠️ <b>Это отключит двухэтапную аутентификацию</b>

    Telegram пришлёт код на почту для восстановления. Вход по нему <b>снимает пароль</b> с аккаунта. Задать новый здесь нельзя, потому что паролям не место в чате: сделайте это в приложении сразу после входа.
wizard-warning-yes = ✉️ Понятно, отправить код
wizard-recovery =
    <b>Код по почте</b>

    Telegram отправил код на <code>{ $email }</code>. Наберите его кнопками или пришлите сообщением: этот код от этого не пропадёт.
wizard-recovery-again = 🔁 Отправить ещё одно письмо
wizard-password-is-off = ⚠️ Двухэтапная аутентификация теперь <b>отключена</b>. Задайте новый пароль в приложении: Настройки → Конфиденциальность.

wizard-qr =
    <b>Отсканируйте это приложением аккаунта</b>

    Настройки → Устройства → Подключить устройство. Картинка обновляется сама; снимок экрана быстро устаревает.

    Если вы читаете это на том же телефоне, откройте чат на другом экране.
wizard-terminal =
    <b>В терминале шлюза</b>

    Там оператор подключает аккаунт, и пароль можно ввести незаметно для других:

    <code>siptg session login</code>

    Команда назовёт номер новой сессии. Затем её передают вам, с этим номером вместо N:

    <code>siptg session set N --administrator { $id }</code>

    Здесь она появится в /gateway.
connected = 🎉 <b>Подключено.</b> Теперь звонки этому аккаунту приходят на шлюз.

refused = ⚠️ { $sentence }
retry-after = Попробуйте через { $wait }.
refusal-number-invalid = Telegram не знает такого номера. Пришлите его с кодом страны, например +7 495 123-45-67.
refusal-number-banned = Telegram заблокировал этот номер. Снять блокировку может только Telegram: напишите на recover@telegram.org. Можно подключить другой номер.
refusal-not-registered = С этим номером в Telegram никто не зарегистрирован. Сначала создайте аккаунт в приложении, потом возвращайтесь.
refusal-flood = Telegram пока не принимает новых попыток для этого номера.
refusal-wrong-code = Код неверный. Попробуйте ещё раз.
refusal-code-expired = Этот код устарел. Запросите новый кнопкой ниже.
refusal-no-other-way = Другого способа отправить код у Telegram нет. Используйте отправленный или подождите и начните заново.
refusal-email-wanted = Telegram требует сначала задать для этого аккаунта почту для входа. Сделайте это в приложении и возвращайтесь.
refusal-wrong-password = Пароль неверный.
refusal-unfit-password = Такой новый пароль Telegram не принимает.
refusal-no-recovery = У аккаунта нет почты для восстановления, поэтому сбросить пароль отсюда нельзя.
refusal-api-refused = Telegram отвергает API id этого шлюза. Исправить это может оператор: <code>siptg check</code> подскажет как.
refusal-offline = Сейчас шлюз не может связаться с Telegram. Попробуйте чуть позже.
refusal-out-of-step = Это не подходит к текущему шагу входа. Пожалуйста, начните заново.
refusal-failed = Telegram отказал и называет это «{ $detail }».

## Линии

line-kind-pbx-registers = АТС → шлюз: АТС регистрируется у нас
line-kind-we-register = Шлюз → АТС: мы регистрируемся на АТС
line-kind-trunk = IP ⇿ IP: по адресам, без регистрации

line-health-off = Выключена
line-health-waiting = Ожидание
line-health-up = Работает
line-health-down = Не работает
line-health-refused = Отвергнута

lines =
    <b>Линии</b>
    { $lines ->
        [one] { $lines } линия к АТС.
        [few] { $lines } линии к АТС.
       *[many] { $lines } линий к АТС.
    } Число перед названием – приоритет: на звонок из Telegram первыми звонят линии с наименьшим, при равных – все вместе.
lines-none =
    <b>Линии</b>
    Линий пока нет. Линия – это путь к вашей АТС.
lines-no-session =
    <b>Линии</b>
    Линия принадлежит сессии, а ни одна сессия ещё не подключена: /gateway
lines-of = ☎️ { $session }
line-new = ➕ Новая линия
back-to-lines = « Линии
back-to-line = « К линии

line-title =
    ☎️ <b>{ $name }</b> · { $session }
    { $kind }
line-state =
    { $light } <b>{ $health }</b>
    { $detail }
line-our-address = АТС отправляет свои звонки на <code>{ $address }</code> ({ $transport }).
line-rtt = Отвечает за { $ms } мс.
line-credentials = 🔑 Логин и пароль
line-rules = 🔀 Правила
line-routing = 🧭 Маршрут: { $recipe }
line-rename = ✏️ Название
line-delete = 🗑 Удалить
line-delete-sure =
    <b>Удалить линию «{ $name }»?</b>

    Идущие по ней звонки закончатся сами; после этого АТС через неё в Telegram не дозвонится.
line-delete-yes = 🗑 Да, удалить
line-deleted = Линия удалена
line-created = Линия создана
line-transport-only = Этот шлюз предлагает только { $transport }.
srtp-on = 🔒 SRTP: вкл
srtp-off = 🔓 SRTP: выкл

line-new-session = <b>Новая линия</b>

    Для какой сессии?
line-new-kind =
    <b>Новая линия для { $session }</b>

    Как АТС и шлюз находят друг друга?

    • <b>АТС → шлюз</b>: вы получите логин и пароль и введёте их в АТС. Работает за любым роутером; обычный выбор.
    • <b>Шлюз → АТС</b>: вы дадите мне логин и пароль внутреннего номера АТС.
    • <b>IP ⇿ IP</b>: у обоих постоянные адреса, и они доверяют друг другу по ним.
line-new-step =
    <b>Новая линия · { $step } из { $steps }</b>
    { $kind }
line-new-name = Линия { $number }
field-asked = <b>{ $field }</b>

credentials =
    🔑 <b>Введите это в АТС</b>

    Сервер: <code>{ $server }</code> ({ $transport })
    Логин: <code>{ $login }</code>
    Пароль: <code>{ $password }</code>

    <i>Сообщение удалится само через { $seconds } с.</i>
credentials-close = 🗑 Удалить сейчас
credentials-reset = ♻️ Новый пароль
line-credentials-below = Они в сообщении ниже
line-reset =
    <b>Новый пароль для «{ $name }»?</b>

    Старый сразу перестанет действовать: АТС не будет на связи, пока в ней не введут новый.
line-reset-yes = ♻️ Да, новый пароль

field-is = { $field }: { $value }
field-title = <b>{ $field }</b> · { $name }
field-now = Сейчас: <code>{ $value }</code>
field-clear = 🧹 Убрать
field-default = ↩️ Как вначале

field-name = Название
field-name-help = Пришлите название, до 64 символов, например «Главный офис».
field-login = Логин
field-login-help = Пришлите логин, который ждёт АТС: до 64 латинских букв, цифр и знаков <code>. _ + -</code>, например <code>100</code> или <code>office-7</code>.
field-password = Пароль
field-password-help = Пришлите пароль, который ждёт АТС: латинские буквы, цифры и знаки, без пробелов и кавычек. Сообщение я сразу удалю и пароль никому не покажу.
field-host = Адрес
field-host-help = Пришлите адрес АТС: имя хоста или IP, при необычном порте – с портом через двоеточие, например <code>pbx.example.com</code> или <code>203.0.113.5:5070</code>.
field-proxy = Прокси
field-proxy-help = Пришлите адрес, куда отправлять запросы, если он отличается от домена АТС, например <code>sbc.example.com:5061</code>.
field-trusted = Доверенные IP
field-trusted-help = Пришлите через запятую адреса и подсети, с которых звонит АТС, например <code>203.0.113.5, 198.51.100.0/28</code>. Если АТС регистрируется, её логином смогут пользоваться только они.
field-header = Заголовок
field-header-help = Несколько линий между одними и теми же хостами различаются SIP-заголовком, который присылает АТС. Пришлите <code>Поле:Значение</code>, например <code>X-Line:office</code>.
field-transport = Транспорт
field-codecs = Кодеки
field-codecs-help = Нажмите, чтобы добавить или убрать. Порядок нажатий – порядок предпочтения: первым предлагается кодек 1. Лучше всего звучит G.722; G.711 (alaw, ulaw) есть у каждой АТС.
field-dtmf = DTMF
field-dtmf-help = Как цифры с клавиатуры доходят до АТС. <b>rfc4733</b> подходит почти всем; <b>info</b> и <b>inband</b> – для тех, кому нужно иначе.
field-priority = Приоритет
field-priority-help = На звонок из Telegram вместе звонят все линии с наименьшим числом; следующее число – только если все эти не ответили. Нажмите или пришлите число от 1 до 99.
field-number = Номер
field-number-help = Пришлите номер на АТС, который звонит, когда звонят в Telegram, например <code>200</code>: внутренний номер, группа, IVR. Без него набирается номер телефона самого аккаунта.
field-number_rules = Правила номера
field-number_rules-help =
    Пришлите правила, каждое с новой строки: <code>regex=замена</code>. Они применяются по порядку. Правило без <code>=</code> – фильтр: если не совпало, линия не подходит. Одиночный знак <code>=</code> убирает все правила.

    Например: <code>^8(?=\d{"{"}10{"}"}$)=+7</code>
field-caller_ids = АОН
field-caller_ids-help =
    Что АТС видит как номер звонящего. Пришлите шаблоны, каждый с новой строки, с <code>{"{phone}"}</code>, <code>{"{username}"}</code>, <code>{"{userid}"}</code>; берётся первый, для которого есть все значения.
field-caller_names = Имя
field-caller_names-help =
    Что АТС видит как имя звонящего. Пришлите шаблоны, каждый с новой строки, с <code>{"{name}"}</code>, <code>{"{name_ascii}"}</code> (латиницей), <code>{"{phone}"}</code>, <code>{"{username}"}</code>, <code>{"{userid}"}</code>; берётся первый, для которого есть все значения.

rules-title = 🔀 <b>Правила номера</b> · { $name }
rules-now = <pre>{ $rules }</pre>
rules-none = (правил нет: номер – это сам текст)
rules-help =
    Они делают номер из текста сообщения или из номера, выбранного в чате. <code>.*=</code> превращает любой текст в пустой: тогда набирается номер самой линии.
rules-change = ✏️ Изменить
rules-try = 🧪 Проверить
rules-default = ↩️ .*=
rules-clear = 🧹 Без правил
rules-try-title = 🧪 <b>Проверка правил</b> · { $name }
rules-try-help = Пришлите любой текст, и я покажу, что было бы набрано. Никому не звоню.
rules-tried = «{ $text }»
rules-number = <b>{ $number }</b>
rules-unsuited = эта линия не подходит, пробуется другая

## Маршруты

recipe-kind-number = ☎️ Один номер
recipe-kind-hours = 🕘 По часам работы
recipe-kind-ivr = 🔢 Через меню (IVR)
recipe-kind-context = 🛠 Контекст диалплана
routing-title = 🧭 <b>Маршрут</b> · { $name }
routing-straight = Звонки из Telegram идут прямо на номер линии.
routing-now = Звонки из Telegram идут по рецепту <b>{ $recipe }</b>:
routing-text = <pre>{ $text }</pre>
routing-help = Выберите рецепт. Прежде чем что-то изменится, вы увидите, чем он станет в диалплане.
routing-operators = На этом шлюзе это меняет только его оператор.
routing-clear = 🧹 Прямо на номер
routing-step = <b>{ $recipe }</b> · { $step } из { $steps }
routing-skip = ⏭ Оставить пустым
routing-preview = <b>{ $recipe }</b>: вот что будет в диалплане
routing-apply = ✅ Применить
routing-number-number = Пришлите номер на АТС, куда пойдут все звонки, например <code>200</code>.
routing-hours-times = Пришлите часы работы, например <code>09:00-18:00</code>.
routing-hours-days = Пришлите дни, например <code>mon-fri</code> или <code>mon-thu,sat</code>. Если оставить пустым – ежедневно.
routing-hours-zone = Пришлите часовой пояс, например <code>Europe/Moscow</code>. Если оставить пустым – пояс машины, где работает шлюз.
routing-hours-open_number = Пришлите номер для рабочего времени, например <code>200</code>. Если оставить пустым – номер самой линии.
routing-hours-closed_number = Пришлите номер для остального времени, например <code>700</code>. Если оставить пустым – такие звонки отклоняются.
routing-ivr-number = Пришлите номер меню на АТС, например <code>500</code>.
routing-ivr-digits = Пришлите цифры, которые нажать там за звонящего; <code>w</code> – пауза в полсекунды, например <code>ww1w2</code>.
routing-context-context = Пришлите имя контекста, который написал телеком-инженер, например <code>sales-menu</code>. Номер он получит как extension.

## Звонки

calls = 📋 <b>Звонки</b>, сначала новые (время по UTC). Нажмите, чтобы узнать, чем кончилось.
calls-none = 📋 Звонков пока не было.
calls-of = ☎️ { $session }
calls-living =
    { $calls ->
        [one] <b>Сейчас идёт { $calls } звонок</b>
        [few] <b>Сейчас идут { $calls } звонка</b>
       *[many] <b>Сейчас идут { $calls } звонков</b>
    }
call-living = { $what } – { $state } { $clock }
calls-emoji = 🔐 Эмодзи – это ключ звонка. Назовите их пользователю Telegram: если он видит в приложении те же, между вами никого нет.
back-to-calls = « Звонки
call =
    { $mark } <b>{ $caller } → { $dialled }</b>
    { $way }
    { $when }, разговор { $talked }
call-line = Линия: { $line }
call-line-gone = (удалена)
call-ended = <b>{ $why }</b> (на стадии: { $state })
call-detail = <i>{ $detail }</i>
call-audio = 🎧 <b>Звук</b>: { $codec }, { $path ->
        [direct] напрямую с приложением пользователя
        [relay] с пользователем через ретранслятор
        [reflector] с пользователем через рефлектор Telegram
       *[unknown] с пользователем
    } ({ $engine })
call-from-pbx = От АТС: { $packets ->
        [0] <b>ни одного пакета</b>
       *[other] пакетов { $packets }, первый через { $first } мс, потеряно { $lost }, восполнено { $made_up } мс
    }
call-from-user = От пользователя: { $packets ->
        [0] <b>ни одного пакета</b>
       *[other] пакетов { $packets }, первый через { $first } мс, потеряно { $lost }, восполнено { $made_up } мс
    }
call-rtt = До пользователя и обратно { $ms } мс
call-jitter = джиттер { $ms } мс
call-loss-to-user = по пути к нему потеряно { $percent } %
call-spare-engine = Звук передавал запасной движок шлюза: основной не справился с этим пользователем.
audio-fault-nothing-from-pbx = АТС не прислала звука, и пользователь ничего не слышал. Чаще всего её пакеты не доходят до шлюза: между ними брандмауэр, АТС за NAT сообщает внутренний адрес, или включён «direct media» к телефону, который до шлюза не достаёт.
audio-fault-nothing-from-user = Приложение пользователя не прислало звука, и АТС ничего не слышала: микрофон выключен или запрещён, или сеть ничего не выпускает. Если так у всех пользователей, проверьте брандмауэр шлюза: UDP должен уходить и возвращаться.
audio-fault-late-from-pbx = Звук от АТС пришёл поздно: сначала пользователь слышал тишину. Посмотрите, что делает АТС после ответа.
audio-fault-late-from-user = Звук от пользователя пришёл поздно: сначала АТС слышала тишину. Медлило его приложение или сеть.
audio-fault-loss-from-pbx = Между АТС и шлюзом много потерь: проверьте эту сеть.
audio-fault-loss-from-user = Многое из сказанного пользователем потерялось по пути: скорее всего, дело в его мобильной сети или Wi-Fi.
audio-fault-loss-to-user = Многое из сказанного пользователю до его приложения не дошло: скорее всего, дело в его мобильной сети или Wi-Fi.
audio-fault-slow = Путь до пользователя долгий, и люди перебивают друг друга. Без ретранслятора он часто короче: разрешите P2P-звонки в рекомендуемых настройках.
why = <b>Последний неудачный звонок</b>
why-none = 👍 За последнее время неудачных звонков не было.

direction-sip-to-telegram = С АТС в Telegram
direction-telegram-to-sip = Из Telegram на АТС

call-state-offered = поступает
call-state-dialling = набор
call-state-alerting = звонит
call-state-answering = отвечают
call-state-up = разговор
call-state-ending = завершается
call-state-ended = завершён

hangup-cause-normal = Закончился как обычно: кто-то положил трубку.
hangup-cause-cancelled = Звонящий не дождался ответа.
hangup-cause-busy = Занято.
hangup-cause-declined = Отклонён.
hangup-cause-no-answer = Никто не ответил.
hangup-cause-answered-elsewhere = Ответили на другой линии или другом устройстве.
hangup-cause-privacy = Пользователь не принимает звонки от этого аккаунта: так заданы его настройки конфиденциальности. Он может добавить аккаунт в контакты.
hangup-cause-unknown-number = По этому номеру никто не известен.
hangup-cause-invalid-number = Набрано не то, что похоже на номер или имя. Посмотрите правила номера и АОН линии.
hangup-cause-self-call = Аккаунт не может звонить самому себе.
hangup-cause-flood = Telegram пока ограничил звонки этого аккаунта. Помогает реже звонить незнакомым и подождать.
hangup-cause-offline = Сессия не была на связи с Telegram. Посмотрите её в /gateway.
hangup-cause-incompatible-peer = Приложение пользователя не принимает такие звонки; может помочь обновление.
hangup-cause-over-limit = Звонков уже было столько, сколько можно сразу: по пределу сессии или подписки.
hangup-cause-no-line = Для звонка не нашлось линии, или все выключены. Посмотрите /lines.
hangup-cause-line-down = До АТС не достучаться. Посмотрите состояние линии в /lines.
hangup-cause-forbidden = АТС отказала шлюзу: неверный логин или пароль или её собственные правила.
hangup-cause-congestion = АТС или Telegram были перегружены или неисправны.
hangup-cause-incompatible-media = Нет кодека, подходящего обеим сторонам. Посмотрите кодеки линии.
hangup-cause-media-lost = Звук так и не пошёл или пропал насовсем. Скорее всего, мешает межсетевой экран.
hangup-cause-shutdown = Шлюз останавливали.
hangup-cause-internal = Сбой самого шлюза; подробнее – в его журнале.

## Рекомендуемые настройки

session-recommended = ⚙️ Рекомендуемые настройки
recommended-title = ⚙️ <b>Рекомендуемые настройки</b> · { $name }
recommended-reading = ⏳ Читаю его настройки из Telegram…
recommended-help = Чтобы звонки приходили на шлюз, и только на него. Так сейчас по данным Telegram; нажмите, чтобы включить.
recommended-done = 👍 Всё как надо.
recommended-all = ✅ Применить все
recommended-then-line = ☎️ Дальше: линия к АТС
recommended-pending = ⏳ <b>{ $setting }</b>: Telegram разрешит это только после { $when } ({ $detail }), потому что вход новый. Тогда я попробую сам и расскажу, чем кончилось.
recommended-refused = ⚠️ <b>{ $setting }</b>: Telegram отказал ({ $detail }).
recommended-calls-elsewhere-off = Не звонить на другие устройства
recommended-calls-from-all = Звонки – от всех
recommended-p2p-from-all = P2P-звонки – от всех
recommended-no-groups = Не добавлять в группы

## Как сессия ведёт себя в чатах

session-chat = 💬 Чаты
chat-title = 💬 <b>В чатах</b> · { $name }
chat-help =
    Что пользователи Telegram увидят в чате с этим аккаунтом. ⏳ Эта версия только хранит настройки; действовать по ним будет одна из следующих.

    <b>Клавиатура</b>: цифры для набора во время звонка; исчезает, когда он кончается.
    <b>Перезвонить, Линии</b>: кнопки после звонка, чтобы соединиться снова.
    <b>Сообщения</b>: что делать с текстами, которые пишут аккаунту.
chat-keypad_in = Клавиатура, звонки из Telegram
chat-keypad_out = Клавиатура, звонки в Telegram
chat-redial = Перезвонить
chat-lines = Линии
chat-messages = Обработка сообщений
chat-callback = Обратный звонок
chat-inline = Инлайн-бот
chat-autoreply = Автоответ
chat-inline_bot = Бот
chat-inline_query = Запрос
chat-autoreply_text = Текст
chat-inline_bot-help = Пришлите имя инлайн-бота, например <code>@gif</code>. Его спрашивают, когда сообщению не подошла ни одна линия, и публикуют первый результат.
chat-inline_query-help = Пришлите, что спрашивать у бота, до 256 символов, с <code>{"{text}"} {"{userid}"} {"{username}"} {"{phone}"} {"{name}"}</code>, например <code>{"{text} {phone}"}</code>.
chat-autoreply_text-help = Пришлите текст ответа на каждое сообщение, до 4096 символов, например «Мы работаем с 9 до 18. Пожалуйста, позвоните нам.»

## Передача сессии

session-handover = 🎁 Передать
session-offered = 🎁 Предложена <a href="tg://user?id={ $id }">{ $id }</a>, ответа ещё нет.
handover-ask =
    🎁 <b>Передать { $name }</b>

    Кто будет администратором дальше? Пришлите его контакт, пересланное от него сообщение или его Telegram id. Он должен согласиться; до тех пор всё остаётся как есть.
handover-nobody = По этому не понять, кто это. Некоторые скрывают себя в пересланных сообщениях: тогда нужен номер аккаунта, например 123456789.
handover-offered = Предложение отправлено
handover-waits =
    🎁 <b>{ $name }</b> – предложена <a href="tg://user?id={ $id }">{ $id }</a>, ответа ещё нет.

    Предложение видно в этом боте в /gateway. Тому, кто мне ещё не писал, нужно сначала отправить мне /start.
handover-withdraw = ↩️ Отозвать предложение
handover-withdrawn = Предложение отозвано
handover-give-up = 🚪 Отказаться, никому не передавая
handover-give-up-sure =
    <b>Отказаться от { $name }?</b>

    Сессия останется подключённой, с линиями, и звонки продолжатся; но вы её больше не увидите. Передать её кому-нибудь сможет только оператор шлюза.
handover-give-up-yes = 🚪 Да, отказаться
handover-given-up = Вы отказались от неё
handover-offer = 🎁 Предложена вам: { $name }
handover-offered-to-you =
    🎁 Вам предложена сессия <b>{ $session }</b>

    Если согласитесь, вы будете её администратором, вместе с её линиями.
handover-accept = ✅ Принять
handover-decline = ✖️ Отклонить
handover-accepted-by-you = Теперь она ваша
handover-declined-by-you = Вы отказались. Ничего не изменилось.

## Подписка

unlimited = без ограничений
subscription = 🎫 Подписка: звонков сразу { $calls }, сессий { $sessions }, минут { $used } из { $minutes } в этом месяце, до { $expires }.
subscription-trouble = ⚠️ { $trouble }
coverage-unlimited = Ограничений нет.
coverage-covered = Подписка действует для этой сессии.
coverage-not-shared = Подписка не распространяется на эту сессию: звонков у неё не будет.
coverage-too-many = Подписка рассчитана на меньшее число сессий: у этой звонков не будет.
coverage-expired = Подписка истекла: звонков у этой сессии не будет.
share-on = 🎫 Под подпиской: да
share-off = 🎫 Под подпиской: нет

## Уведомления

notice = { $light } { $text }
notice-to-line = ☎️ Открыть линию
notice-to-session = 📱 Открыть сессию
notice-session-lost = { $banned ->
        [yes] Telegram заблокировал <b>{ $session }</b> ({ $detail }). Звонки через неё больше не проходят.
       *[no] Вход <b>{ $session }</b> в Telegram завершён ({ $detail }). Подключите её снова: линии и настройки сохранены.
    }
notice-session-lost-over = <b>{ $session }</b> снова на связи с Telegram. Всё в порядке.
notice-flood = Telegram ограничил исходящие звонки <b>{ $session }</b> до { $until }. Входящих это не касается.
notice-flood-over = Telegram больше не ограничивает <b>{ $session }</b>. Всё снова в порядке.
notice-line-down =
    Линия <b>{ $line }</b> ({ $session }) не работает.
    <i>{ $detail }</i>
notice-line-down-over = Линия <b>{ $line }</b> ({ $session }) снова работает. Всё в порядке.
notice-no-line = { $caller } звонил на <b>{ $session }</b>, а линии для звонка не было. Добавьте или включите линию.
notice-no-line-over = У <b>{ $session }</b> снова есть линия для звонков. Всё в порядке.
notice-setting-pending = <b>{ $session }</b>: «{ $setting }» Telegram разрешит только после { $until } ({ $detail }). Тогда я попробую сам.
notice-setting-pending-over = <b>{ $session }</b>: «{ $setting }» теперь действует.
notice-setting-refused = <b>{ $session }</b>: Telegram отказал в «{ $setting }» ({ $detail }). Больше я не пробую; можете попробовать вы.
notice-handover-offered =
    { $from ->
        [nobody] Вам предложена сессия <b>{ $session }</b>.
       *[other] <a href="tg://user?id={ $from }">{ $from }</a> предлагает вам сессию <b>{ $session }</b>.
    } Если согласитесь, вы будете её администратором, вместе с её линиями.
notice-handover-accepted = <a href="tg://user?id={ $to }">{ $to }</a> теперь администратор <b>{ $session }</b>: предложение принято.
notice-handover-declined = Предложение отклонено: <b>{ $session }</b> остаётся вашей (<a href="tg://user?id={ $to }">{ $to }</a>).
