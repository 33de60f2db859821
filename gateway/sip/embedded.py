"""Asterisk, embedded: rendered, started, watched and ended by the node; or an operator's own, only spoken to."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import shutil
import signal
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import structlog

from gateway.errors import GatewayError
from gateway.sip.ari import AriAddress, AriError, boot_finished, global_variable
from gateway.sip.listen import SipPorts, TakenError
from gateway.sip.rendering import Secrets, lay_out
from gateway.sip.settings import AsteriskSettings

__all__ = ["AmiAddress", "Asterisk", "AsteriskError", "AsteriskSettings", "find"]

log = structlog.get_logger(__name__)

#: Releases before this one lack fixes that a public address needs.
OLDEST: Final = (20, 9)

#: Set by dialplan/extensions.conf; where it is missing, no call would come through.
DIALPLAN: Final = "SIPTG_DIALPLAN"

#: Booting takes half a second on an idle machine; a loaded one may need much longer.
BOOT_S: Final = 20.0
BOOT_POLL_S: Final = 0.02
#: Asterisk hangs up what is left and ends well within this; after it, it is killed.
STOP_S: Final = 5.0
#: Pauses before starting it again: at once the first time, since new calls wait; longer if it keeps dying.
RESTART_S: Final = (0.0, 0.5, 2.0, 5.0)
#: Having run for so long, its next death counts as the first one.
SETTLED_S: Final = 60.0
#: How often it is asked whether it lives, and how often in a row it may be silent (for ARI's own three seconds) before
#: it counts as frozen: long enough for a machine that is busy, and calls that hang are told within half a minute.
ALIVE_S: Final = 5.0
SILENCES: Final = 3
#: Lines of its log that an error shows.
TAIL_LINES: Final = 8
#: A log larger than this is moved aside at the start; one older copy is kept.
LOG_BYTES: Final = 10_000_000


class AsteriskError(GatewayError):
    """Asterisk can't be started or reached; the text says why and what to do."""


@dataclass(frozen=True, slots=True)
class AmiAddress:
    """Where AMI is, and who we are there."""

    host: str
    port: int
    user: str
    secret: str = field(repr=False)


class Asterisk:
    """A running Asterisk for as long as the block lasts.

    Args:
        state: A folder of its own: configuration, logs, its small database.

    Attributes:
        version: As it says of itself.
        ports: Where it takes SIP.
        on_death: Called when it died unasked, before it is started again.
        restarts: How often that was done.
    """

    def __init__(self, settings: AsteriskSettings, state: Path) -> None:
        self._settings = settings
        self._state = state.absolute()  # it is where Asterisk runs, too
        self._process: asyncio.subprocess.Process | None = None
        self._watcher: asyncio.Task[None] | None = None
        self._stack = contextlib.ExitStack()
        self.version = ""
        self.restarts = 0
        self.on_death: list[Callable[[], None]] = []
        self.ports = SipPorts(settings.udp_port, settings.tcp_port, settings.tls_port)
        self._secrets: Secrets | None = None

    @property
    def embedded(self) -> bool:
        return not self._settings.ari_url

    @property
    def ari(self) -> AriAddress:
        settings = self._settings
        if not self.embedded:
            password = settings.ari_password.get_secret_value()
            return AriAddress(settings.ari_url.rstrip("/"), settings.ari_user, password)
        assert self._secrets is not None
        return AriAddress(f"http://127.0.0.1:{self._secrets.ari_port}", "siptg", self._secrets.ari_password)

    @property
    def ami(self) -> AmiAddress:
        settings = self._settings
        if not self.embedded:
            secret = settings.ami_secret.get_secret_value()
            return AmiAddress(settings.ami_host, settings.ami_port, settings.ami_user, secret)
        assert self._secrets is not None
        return AmiAddress("127.0.0.1", self._secrets.ami_port, "siptg", self._secrets.ami_secret)

    @property
    def config_dir(self) -> Path:
        """Where generated files live (siptg_lines.conf) and, in siptg-custom/, the engineer's."""
        return self._state / "etc" if self.embedded else self._settings.config_dir

    @property
    def log_file(self) -> Path:
        return self._state / "log" / "asterisk.log"

    @property
    def pid(self) -> int | None:
        """Of the embedded process while it runs."""
        alive = self._process is not None and self._process.returncode is None
        return self._process.pid if alive and self._process else None

    # --- opening and closing -------------------------------------------------------------------------------------

    async def __aenter__(self) -> Self:
        if not self.embedded:
            await self._check_own()
            return self
        try:
            self._open_state()
            self.ports = self.ports.settle(self._settings.bind)
            self._secrets = Secrets.draw()
            await self._start()
            self._watcher = asyncio.create_task(self._watch(), name="asterisk watch")
        except BaseException:
            await self._end()
            self._stack.close()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._watcher is not None:
            self._watcher.cancel()
            await asyncio.wait([self._watcher])
        await self._end()
        self._stack.close()

    async def _check_own(self) -> None:
        url = self._settings.ari_url
        self.version = await boot_finished(self.ari) or ""
        if not self.version:
            raise AsteriskError(f"No Asterisk answers at {url}. Is it running, with http.conf and ari.conf enabled?")
        if not new_enough(self.version):
            raise AsteriskError(f"Asterisk {self.version} at {url} is too old; {OLDEST[0]}.{OLDEST[1]} is the oldest.")
        if not await global_variable(self.ari, DIALPLAN):
            raise AsteriskError(
                f"The Asterisk at {url} lacks our dialplan; include dialplan/extensions.conf in its own."
            )

    def _open_state(self) -> None:
        """Make the folders ours alone, and end what an earlier run left."""
        try:
            for part in ("etc/siptg-custom", "log", "lib", "run", "spool"):
                (self._state / part).mkdir(parents=True, exist_ok=True)
            self._state.chmod(0o700)
            lock = self._stack.enter_context((self._state / "lock").open("w"))
        except OSError as error:
            raise AsteriskError(f"The folder {self._state} can't be used: {error.strerror}.") from error
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise AsteriskError(f"Another gateway runs on the folder {self._state}.") from None
        _end_stale(self._pid_file, self._conf)
        if self.log_file.exists() and self.log_file.stat().st_size > LOG_BYTES:
            self.log_file.replace(self.log_file.with_suffix(".log.1"))

    @property
    def _conf(self) -> Path:
        return self._state / "etc" / "asterisk.conf"

    @property
    def _pid_file(self) -> Path:
        return self._state / "run" / "asterisk.pid"

    # --- running -------------------------------------------------------------------------------------------------

    async def _start(self) -> None:
        """Start it and wait until all of it is loaded."""
        assert self._secrets is not None
        command = find(self._settings.prefix)
        try:
            self.ports.check_free(self._settings.bind)
        except TakenError as error:
            raise AsteriskError(str(error)) from error
        lay_out(self._state, self._settings, self.ports, self._secrets, command.data, command.modules)
        log_from = self.log_file.stat().st_size if self.log_file.exists() else 0
        with (self._state / "log" / "console.log").open("wb") as console:
            self._process = await asyncio.create_subprocess_exec(
                # The node may be killed without a word; Asterisk must not stay behind with its ports.
                *("setpriv", "--pdeathsig", "TERM", *command.argv, "-f", "-C", str(self._conf)),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=console,
                stderr=console,
                cwd=self._state,
                start_new_session=True,  # Ctrl-C is for the node, which drains first
            )
        began = time.monotonic()
        while not (version := await self._booted()):
            if self._process.returncode is not None:
                raise AsteriskError(f"Asterisk ended while starting. {self._last_words(log_from)}")
            if time.monotonic() - began > BOOT_S:
                raise AsteriskError(f"Asterisk did not finish starting in {BOOT_S:.0f} s. {self._last_words(log_from)}")
            await asyncio.sleep(BOOT_POLL_S)
        if not await global_variable(self.ari, DIALPLAN):
            # One wrong line of the engineer's own files, and Asterisk starts without any dialplan.
            raise AsteriskError(f"Asterisk could not read its dialplan. {self._last_words(log_from)}")
        self.version = version
        took = round(time.monotonic() - began, 3)
        for line in _lines(self.log_file, log_from):
            if " ERROR[" in line:  # such as a mistake in the engineer's own files, which are then left out
                log.warning("asterisk complained", line=line)
        log.info("asterisk started", version=version, pid=self._process.pid, seconds=took, **self.ports.fields())

    async def _booted(self) -> str | None:
        try:
            return await boot_finished(self.ari)
        except AriError as error:
            raise AsteriskError(f"Another program answers on the port that Asterisk was given: {error}.") from error

    async def _watch(self) -> None:
        """Start it again whenever it dies. Never gives up: SIP is half of the house."""
        deaths = 0
        while True:
            assert self._process is not None
            began = time.monotonic()
            code = await self._death(self._process)
            deaths = 0 if time.monotonic() - began > SETTLED_S else deaths
            log.error("asterisk died", code=code, last_words=self._last_words(0))
            for told in self.on_death:
                told()
            while True:
                await asyncio.sleep(RESTART_S[min(deaths, len(RESTART_S) - 1)])
                deaths += 1
                try:
                    await self._start()
                    self.restarts += 1
                    break
                except (AsteriskError, OSError) as error:
                    log.error("asterisk did not start again", reason=str(error))
                    await self._end()

    async def _death(self, process: asyncio.subprocess.Process) -> int:
        """Wait until it died, of itself or because it froze; answer its exit code."""
        silent = 0
        while process.returncode is None:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(ALIVE_S):
                    return await process.wait()
            with contextlib.suppress(AriError):  # an answer, too
                silent = 0 if await boot_finished(self.ari) else silent + 1
            if silent >= SILENCES:
                log.error("asterisk is frozen", pid=process.pid)
                with contextlib.suppress(ProcessLookupError):
                    process.kill()  # it would not hear anything gentler
        return process.returncode

    async def _end(self) -> None:
        """End the process, gently first."""
        process = self._process
        if process is None or process.returncode is not None:
            return
        for sign in (signal.SIGTERM, signal.SIGKILL):
            with contextlib.suppress(ProcessLookupError):
                process.send_signal(sign)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(STOP_S):
                    await process.wait()
                    break
        log.info("asterisk stopped", code=process.returncode)

    def _last_words(self, log_from: int) -> str:
        """What its log said last, since `log_from`."""
        lines = deque(_lines(self._state / "log" / "console.log", 0), TAIL_LINES)
        lines.extend(_lines(self.log_file, log_from))
        return f"Its last words ({self.log_file}):\n" + "\n".join(lines) if lines else "It left no word."


@dataclass(frozen=True, slots=True)
class Command:
    """How an Asterisk on this host is run.

    Attributes:
        data, modules: Where its documentation, sounds and modules lie; None: where it was built to look.
    """

    argv: tuple[str, ...]
    data: Path | None = None
    modules: Path | None = None


def find(prefix: Path) -> Command:
    """The Asterisk in `prefix`, run by its own loader; otherwise the host's own.

    Raises:
        AsteriskError: There is none.
    """
    prefix = prefix.absolute()
    program = prefix / "usr/sbin/asterisk"
    loader = next(prefix.glob("usr/lib/*-linux-gnu*/ld-linux*.so.*"), None)
    if program.exists() and loader is not None:
        library = loader.parent
        argv = (str(loader), "--library-path", str(library), "--argv0", "asterisk", str(program))
        return Command(argv, prefix / "usr/share/asterisk", library / "asterisk/modules")
    if own := shutil.which("asterisk") or shutil.which("asterisk", path="/usr/sbin"):
        return Command((own,))
    raise AsteriskError(f"There is no Asterisk in {prefix}; get one with: asterisk/install.sh {prefix}")


def new_enough(version: str) -> bool:
    """Whether a version such as "22.10.1~dfsg" or "certified/20.7-cert4" is one we work with."""
    numbers = version.rpartition("/")[2].split("-")[0].split(".")
    try:
        return (int(numbers[0]), int(numbers[1])) >= OLDEST
    except (IndexError, ValueError):
        return True  # a development build; its owner knows


def _lines(file: Path, start: int) -> Iterator[str]:
    """The lines of a log from a byte on; none when there is no such log."""
    with contextlib.suppress(OSError), file.open("rb") as log_lines:
        log_lines.seek(start)
        yield from (line for raw in log_lines if (line := raw.decode(errors="replace").strip()))


def _end_stale(pid_file: Path, conf: Path) -> None:
    """End an Asterisk that an earlier node left, if the pid file names one that is really ours."""
    try:
        pid = int(pid_file.read_text())
        ours = os.fsencode(conf) in Path(f"/proc/{pid}/cmdline").read_bytes()
    except (OSError, ValueError):
        return
    if not ours:
        return
    log.warning("stale asterisk found", pid=pid)
    for sign, seconds in ((signal.SIGTERM, 2.0), (signal.SIGKILL, 2.0)):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, sign)
        if any(_gone(pid) for _ in _until(seconds)):
            return


def _until(seconds: float) -> Iterator[None]:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        yield
        time.sleep(0.02)  # nothing else runs yet: the house is only opening


def _gone(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True
