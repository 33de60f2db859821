#!/bin/sh
# Obtain Asterisk, or one system package, into a folder of our own: no root, no change to the host.
#
#   asterisk/install.sh [PREFIX]                     Asterisk, with the modules that etc/modules.conf names
#   asterisk/install.sh --package PACKAGE [PREFIX]   the files of one package of the host's own release, into PREFIX
#
# PREFIX is .asterisk beside this folder unless given. A second run with nothing to do returns at once.
# Packages come from the archive that the host's own apt uses, their signatures checked with the host's keyring, by an
# apt state that lives and dies inside PREFIX. Asterisk runs on the C library of its own packages, through their loader:
#   $LIB/ld-linux-*.so.* --library-path $LIB PREFIX/usr/sbin/asterisk      (LIB=PREFIX/usr/lib/<triplet>)
# An Asterisk of the host's own, 20.9 or later, is used as it is, and nothing is fetched. ASTERISK_SUITE names another
# suite than the one chosen here.
set -eu
export LC_ALL=C
umask 022

say() { printf 'asterisk: %s\n' "$*"; }
warn() { printf 'asterisk: warning: %s\n' "$*" >&2; }
die() { printf 'asterisk: %s\n' "$*" >&2; exit 1; }

here=$(cd "$(dirname "$0")" && pwd)
package=
if [ "${1-}" = --package ]; then
    package=${2-}
    [ -n "$package" ] || die "--package wants the name of a package, such as libopus0."
    shift 2
fi
prefix=${1:-$here/../.asterisk}
mkdir -p "$prefix" 2>/dev/null || die "the folder $prefix can't be made; choose another one."
prefix=$(cd "$prefix" && pwd)
[ -w "$prefix" ] || die "the folder $prefix is not writable for $(id -un)."

work=$prefix/.work
modules_conf=$here/etc/modules.conf

new_enough() { # VERSION: is it 20.9 or later?
    echo "$1" | awk -F. '{ exit !($1 > 20 || ($1 == 20 && $2 >= 9)) }'
}

system_version() { # the version of the host's own Asterisk, or nothing
    { asterisk -V || /usr/sbin/asterisk -V; } 2>/dev/null | sed -n 's/^Asterisk \([0-9.]*\).*/\1/p'
}

# --- what is there already -----------------------------------------------------------------------------------------

need_apt() {
    for tool in apt-get dpkg-deb dpkg tar flock; do
        command -v "$tool" >/dev/null 2>&1 || die "$tool is not here; this works on Debian 12 and 13 and Ubuntu 24.04." \
            "Elsewhere install Asterisk 20.9 or later yourself, and it will be used."
    done
    . /etc/os-release
    os=$ID
    codename=${VERSION_CODENAME:-}
    arch=$(dpkg --print-architecture)
}

stamp_of_now() { cat "$0" "$modules_conf" /etc/os-release | cksum; }

if [ -z "$package" ]; then
    stamp=$prefix/.stamp
    if [ -x "$prefix/usr/sbin/asterisk" ] && [ "$(cat "$stamp" 2>/dev/null)" = "$(stamp_of_now)" ]; then
        say "already in $prefix."
        exit 0
    fi
    version=$(system_version)
    if [ -n "$version" ] && new_enough "$version"; then
        say "the host's own Asterisk $version is used."
        exit 0
    fi
elif [ -e "$prefix/.$package" ]; then
    say "$package is already in $prefix."
    exit 0
fi
need_apt

# Two runs at once: the second waits, and finds the work done.
exec 9>"$prefix/.lock"
if ! flock -n 9; then
    say "another run is under way; waiting for it."
    flock 9
    exec 9>&-
    [ -z "$package" ] || set -- --package "$package"
    exec "$0" "$@" "$prefix"
fi

free_mb=$(df -Pm "$prefix" | awk 'NR == 2 { print $4 }')
[ -n "$package" ] || [ "$free_mb" -ge 600 ] ||
    die "$prefix has $free_mb MB free, and 600 MB are needed while unpacking; make room, or choose another folder."

rm -rf "$work"
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT TERM
mkdir -p "$work/lists/partial" "$work/cache/archives/partial" "$work/root"

# --- an apt of our own ---------------------------------------------------------------------------------------------

# The host's apt.conf still counts (proxies, credentials); its hooks, pins, third-party sources and extra indexes do not.
# An empty status file makes apt see a machine with nothing installed: the closure comes out whole, C library included.
write_apt_conf() {
    : >"$work/status"
    cat >"$work/apt.conf" <<CONF
#clear APT::Update::Pre-Invoke;
#clear APT::Update::Post-Invoke;
#clear APT::Update::Post-Invoke-Success;
#clear DPkg::Pre-Invoke;
#clear DPkg::Post-Invoke;
#clear DPkg::Pre-Install-Pkgs;
#clear Acquire::IndexTargets;
Acquire::IndexTargets::deb::Packages {
    MetaKey "\$(COMPONENT)/binary-\$(ARCHITECTURE)/Packages";
    flatMetaKey "Packages";
    ShortDescription "Packages";
    Description "\$(RELEASE)/\$(COMPONENT) \$(ARCHITECTURE) Packages";
    Optional "no";
};
#clear APT::Architectures;
APT::Architectures { "$arch"; };
APT::Sandbox::User "";
APT::Install-Recommends "false";
APT::Update::Error-Mode "any";
APT::Default-Release "";
Acquire::Languages "none";
Acquire::Retries "3";
// A mirror that was frozen at a date is past its Valid-Until; its signature is checked all the same.
Acquire::Check-Valid-Until "false";
Dir::State "$work";
Dir::State::lists "$work/lists";
Dir::State::status "$work/status";
Dir::Cache "$work/cache";
Dir::Etc::SourceList "$work/sources.list";
Dir::Etc::SourceParts "/dev/null";
Dir::Etc::Preferences "/dev/null";
Dir::Etc::PreferencesParts "/dev/null";
CONF
}

# The addresses of the distribution's own archive, as the host's sources have them in either syntax, whether or not
# `apt-get update` ever ran there.
archives() {
    apt-get indextargets --no-release-info -o Dir::State::lists="$work/lists" \
        --format '$(REPO_URI) $(RELEASE) $(COMPONENT) $(CREATED_BY)' 2>/dev/null |
        awk -v codename="$codename" '
            $4 != "Packages" || $3 != "main" || $1 ~ /security|^cdrom:/ { next }
            $2 == codename || $2 ~ /^(stable|oldstable|testing|unstable|sid)$/ { if (!seen[$1]++) print $1 }'
}

keyring() {
    for ring in /usr/share/keyrings/"$os"-archive-keyring.gpg /usr/share/keyrings/"$os"-archive-keyring.pgp; do
        if [ -r "$ring" ]; then
            echo "[signed-by=$ring]"
            return
        fi
    done
}

fetch_lists() { # SUITE...
    : >"$work/sources.list"
    for suite; do
        archives | while read -r uri; do
            printf 'deb %s %s %s %s\n' "$(keyring)" "$uri" "$suite" "$components" >>"$work/sources.list"
        done
    done
    [ -s "$work/sources.list" ] ||
        die "the host's apt sources name no archive of $os ${codename:-(no codename)}; add one to /etc/apt, then run this again."
    our_apt update
}

our_apt() { # run apt-get on our own state; its last words are the reason when it fails
    apt-get -c "$work/apt.conf" -qq -y "$@" >"$work/log" 2>&1 </dev/null && return
    reason=$(grep -h '^[EW]:' "$work/log" | head -n 1)
    case $(cat "$work/log") in
    *[Nn]"o space left"* | *"enough free space"*) die "the disk of $prefix is full; make room and run this again." ;;
    *"resolve '"* | *"onnect"* | *"Failed to fetch"*)
        die "the package archive can't be reached; check the network, or the proxy in /etc/apt/apt.conf.d (apt said: $reason)." ;;
    esac
    die "apt-get $1 failed: ${reason:-$(tail -n 1 "$work/log")}"
}

# Debian 12 and 13 have no Asterisk, and that of Ubuntu 24.04 is too old: later releases of each have a good one.
case $os in
debian) components=main suites=${ASTERISK_SUITE:-forky} ;;
ubuntu) components="main universe" suites=${ASTERISK_SUITE:-resolute} ;;
*) die "this is $os; Asterisk is fetched on Debian 12 and 13 and Ubuntu 24.04. Elsewhere install 20.9 or later yourself." ;;
esac
write_apt_conf

unpack() { # PATTERN...: those paths of every downloaded package, over each other, into $work/root
    # Old packages have /lib, newer ones /usr/lib: one tree for both.
    mkdir -p "$work/root/usr/lib" "$work/root/usr/sbin" "$work/root/usr/bin"
    ln -s usr/lib "$work/root/lib"
    for deb in "$work"/cache/archives/*.deb; do
        dpkg-deb --fsys-tarfile "$deb" |
            tar -x -C "$work/root" --keep-directory-symlink --no-same-owner --wildcards "$@" 2>>"$work/log" || true
    done
    ! grep -qi 'no space left' "$work/log" || die "the disk of $prefix is full; make room and run this again."
}

# --- one package ---------------------------------------------------------------------------------------------------

# From the host's own release, because the host's programs use it, on the host's C library.
if [ -n "$package" ]; then
    fetch_lists "$codename"
    (cd "$work/cache/archives" && our_apt download "$package")
    dpkg-deb -x "$work"/cache/archives/*.deb "$prefix"
    : >"$prefix/.$package"
    say "$package is in $prefix."
    exit 0
fi

# --- Asterisk ------------------------------------------------------------------------------------------------------

say "fetching Asterisk and what it needs from $os $suites …"
fetch_lists $suites
our_apt --download-only install asterisk asterisk-core-sounds-en-gsm libgcc-s1
say "unpacking …"
unpack './usr/lib/*.so*' './lib/*.so*' './usr/sbin/asterisk' './usr/share/asterisk/*'

lib=$(echo "$work"/root/usr/lib/*-linux-gnu*)
loader=$(echo "$lib"/ld-linux*.so.*)
[ -x "$loader" ] || die "the packages of $os $suites hold no loader for $arch; this architecture is not supported."

# Keep the named modules, and the libraries that they and Asterisk are linked with; nothing else.
keep=$work/keep/usr/lib/$(basename "$lib")
mkdir -p "$keep/asterisk/modules" "$work/keep/usr/sbin" "$work/keep/usr/share"
cp "$work/root/usr/sbin/asterisk" "$work/keep/usr/sbin/"
cp -a "$work/root/usr/share/asterisk" "$work/keep/usr/share/"
rm -rf "$work/keep/usr/share/asterisk/conf" "$work/keep/usr/share/asterisk/phoneprov"
# Asterisk holds its documentation in memory whole, 22 of 65 MB. Modules need that of configuration, and look for an entry
# of each application, function and action: those keep what they are in a sentence, which `core show` shows.
for docs in "$work"/keep/usr/share/asterisk/documentation/core-*.xml; do
    awk '/^\t<(application|function|manager|managerEvent|agi|info) / { inside = substr($1, 2); print; next }
         inside && $0 ~ "^\t</" inside ">" { inside = "" }
         /<synopsis>/ { synopsis = 1 }
         !inside || synopsis
         /<\/synopsis>/ { synopsis = 0 }' "$docs" >"$docs.less"
    mv "$docs.less" "$docs"
done
missing=
for module in $(sed -n 's/^\(preload\|require\|load\) *= *\([a-z0-9_]*\.so\).*/\2/p' "$modules_conf"); do
    if [ -f "$lib/asterisk/modules/$module" ]; then
        cp "$lib/asterisk/modules/$module" "$keep/asterisk/modules/"
    else
        missing="$missing ${module%.so}"
    fi
done
[ -z "$missing" ] || warn "this version has no$missing."

# Opened by name, not linked: libgcc_s by the C library, when a thread is cancelled; the others by NSS, whose ciphers
# libsrtp uses. A host may have none of them, or some that do not fit.
for name in libgcc_s.so.1 libsoftokn3.so libfreebl3.so libfreeblpriv3.so; do
    find "$lib" -name "$name" -exec cp -L {} "$keep/" \;
done

for file in "$work/keep/usr/sbin/asterisk" "$keep"/asterisk/modules/*.so "$keep"/*.so*; do
    "$loader" --library-path "$lib" --list "$file" ||
        die "$(basename "$file") can't be linked: $("$loader" --library-path "$lib" --list "$file" 2>&1 | tail -n 1)"
done >"$work/linked"
sed -n 's/.* => \(.*\) (0x[0-9a-f]*)$/\1/p' "$work/linked" | sort -u | while read -r path; do
    case $path in
    "$lib"/*) cp -L "$path" "$keep/" ;;
    *) die "$path is of the host, not of the packages: the closure is not whole." ;;
    esac
done
cp -L "$loader" "$keep/"

# Swapped, not emptied and filled: an Asterisk that starts in this moment finds the one or the other.
[ ! -e "$prefix/usr" ] || mv "$prefix/usr" "$work/old"
mv "$work/keep/usr" "$prefix/usr"
lib=$prefix/usr/lib/$(basename "$lib")
version=$("$lib/$(basename "$loader")" --library-path "$lib" "$prefix/usr/sbin/asterisk" -V 2>&1 |
    sed -n 's/^Asterisk \([0-9.]*\).*/\1/p')
[ -n "$version" ] || die "Asterisk was unpacked into $prefix, but does not start."
new_enough "$version" || warn "Asterisk $version of $os $suites lacks some fixes; 20.9 or later is recommended for real use."
stamp_of_now >"$stamp"
say "Asterisk $version is in $prefix ($(du -sm "$prefix/usr" | cut -f1) MB)."
