#!/bin/sh
# Make this checkout ready to run: .venv with the locked packages, and Asterisk in .asterisk. `make` runs it by itself.
#
#   ./setup.sh [LOCK]    the packages of LOCK: requirements-dev.lock, unless given; requirements.lock suffices to serve
#
# Needs Python 3.11 or later and, where Asterisk or pip must be fetched, the apt of Debian 12 or 13 or Ubuntu 24.04.
# No root, and nothing is touched outside this folder. PYTHON names another interpreter than python3. pip's own
# settings (pip.conf, PIP_*) and apt's count. A run with nothing to do takes a moment.
set -eu

say() { printf 'setup: %s\n' "$*"; }
die() { printf 'setup: %s\n' "$*" >&2; exit 1; }

cd "$(dirname "$0")"
here=$(pwd)
python=${PYTHON:-python3}
lock=${1:-requirements-dev.lock}
[ -f "$lock" ] || die "there is no lock file $lock here; there are: $(echo requirements*.lock)"
version=$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null) ||
    die "$python does not run; install Python 3.11 or later, or name one: PYTHON=/path/to/python3 ./setup.sh"
"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' ||
    die "$python is Python $version, and 3.11 or later is needed; name another: PYTHON=/path/to/python3 ./setup.sh"

# Two runs at once: the second waits, and finds the work done.
exec 9<.
if command -v flock >/dev/null; then flock 9; fi

venv_fits() { # is .venv of this Python, and of this place?
    [ "$(.venv/bin/python -c 'import pip, sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null)" = "$version" ] &&
        grep -qF "$here/.venv" .venv/bin/activate
}

make_venv() {
    say "making .venv for Python $version …"
    rm -rf .venv
    if "$python" -c 'import ensurepip' 2>/dev/null; then
        "$python" -m venv .venv
        return
    fi
    # Debian and Ubuntu keep pip apart from Python: their own package of it is unpacked here.
    "$python" -m venv --without-pip .venv
    asterisk/install.sh --package python3-pip-whl .venv/debian
    packages=.venv/lib/python$version/site-packages
    "$python" -m zipfile -e .venv/debian/usr/share/python-wheels/pip-*.whl "$packages"
    # That pip trusts the host's certificates alone; on a host that has none, those that it brings along.
    if [ ! -e /etc/ssl/certs/ca-certificates.crt ]; then
        certifi=$here/$packages/pip/_vendor/certifi
        sed -i "s|^DEBIAN_CA_CERTS_PATH = .*|DEBIAN_CA_CERTS_PATH = '$certifi/cacert.pem'|" "$certifi/core.py"
    fi
}

install() { # pip's arguments
    .venv/bin/python -m pip --quiet --disable-pip-version-check --no-input install --no-deps "$@" ||
        die "pip could not install the packages (its reason stands above); check the network, or pip's own settings, and run this again."
}

stamp=$({ echo "$version $here"; cat setup.sh pyproject.toml requirements-build.lock "$lock"; } | cksum)
if [ "$(cat .venv/.stamp 2>/dev/null)" != "$stamp" ]; then
    venv_fits || make_venv
    say "installing the locked packages …"
    install --require-hashes -r requirements-build.lock
    # One package comes as source alone: it is built by the locked setuptools, not by whatever the index has today.
    install --require-hashes --no-build-isolation --use-pep517 -r "$lock"
    install --no-build-isolation -e .
    missing=$(.venv/bin/python -m pip check) || die "$lock is older than pyproject.toml; make lock ($missing)"
    # The Opus codec is a system library, that a small host may lack: the media engine looks into .venv/lib as well.
    if ! .venv/bin/python -c 'import ctypes; ctypes.CDLL("libopus.so.0")' 2>/dev/null; then
        asterisk/install.sh --package libopus0 .venv/debian
        (cd .venv/lib && ln -sf ../debian/usr/lib/*/libopus.so.0 .)
    fi
    echo "$stamp" >.venv/.stamp
fi

asterisk/install.sh .asterisk
