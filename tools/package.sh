#!/bin/bash
# Makes the packages: sdist, wheel, and a Debian package that brings its Python packages with it.
#
#   tools/package.sh DIRECTORY                  all three
#   tools/package.sh sdist|wheel|deb DIRECTORY  one of them
#
# The Debian package runs on the machine's own Python, /usr/bin/python3. PYTHON is the interpreter that builds; it has pip,
# setuptools and wheel. pip finds the requirements as it is configured to (PIP_INDEX_URL, PIP_FIND_LINKS, ...).
set -euo pipefail

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
PARTS=$ROOT/tools/packaging/debian
NAME=nova-control-plane
HOME_OF_IT=/opt/$NAME
WORK=$(mktemp -d)
trap 'rm -rf "$WORK"' EXIT

main() {
    local kinds=(sdist wheel deb) kind
    [ $# -lt 2 ] || { kinds=("$1"); shift; }
    [ $# = 1 ] || fail "usage: tools/package.sh [sdist|wheel|deb] DIRECTORY"
    for kind in "${kinds[@]}"; do
        case $kind in sdist | wheel | deb) ;; *) fail "there is no package of the kind $kind: sdist, wheel, deb" ;; esac
    done
    mkdir -p "$1"
    OUT=$(cd "$1" && pwd)
    find_python
    copy_tree
    for kind in "${kinds[@]}"; do "make_$kind"; done
}

fail() {
    echo "$1" >&2
    exit 2
}

find_python() {
    [ -n "${PYTHON:-}" ] || { [ -x "$ROOT/.venv/bin/python" ] && PYTHON=$ROOT/.venv/bin/python; } || PYTHON=python3
    "$PYTHON" -c 'import setuptools, pip, wheel' || fail "$PYTHON has no pip, setuptools or wheel: set PYTHON to one that has"
}

# The build leaves files beside its sources, and what only lies in the working directory is in no package.
copy_tree() {
    TREE=$WORK/tree
    mkdir "$TREE"
    cd "$ROOT"
    VERSION=$("$PYTHON" -W ignore -B -c 'import setup; print(setup.version())')
    if [ -e .git ]; then
        git ls-files -z --deduplicate | while IFS= read -r -d '' path; do
            [ ! -e "$path" ] || printf '%s\0' "$path"
        done | tar -c --null -T - | tar -x -C "$TREE"
    else
        tar -c --exclude=./.venv --exclude='./.cloud*' --exclude=__pycache__ . | tar -x -C "$TREE"
    fi
    # The copy has no history to read it from.
    [ -e "$TREE/PKG-INFO" ] || printf 'Metadata-Version: 2.1\nName: %s\nVersion: %s\n' "$NAME" "$VERSION" >"$TREE/PKG-INFO"
}

make_sdist() {
    (cd "$TREE" && "$PYTHON" -W ignore -c \
        'import sys; from setuptools import build_meta; build_meta.build_sdist(sys.argv[1])' "$OUT") >/dev/null
}

make_wheel() {
    "$PYTHON" -m pip wheel -q --no-deps --no-build-isolation --no-index -w "$OUT" "$TREE"
}

make_deb() {
    local stage=$WORK/stage
    mkdir -p "$stage/opt"
    install_environment "$stage"
    place_files "$stage"
    write_control "$stage"
    dpkg-deb -Zzstd --root-owner-group --build "$stage" "$OUT/${NAME}_${VERSION}_$(dpkg --print-architecture).deb" >/dev/null
}

# install_environment STAGE: the virtual environment as it will lie, without pip, compiled: daemons cannot write there.
install_environment() {
    local environment=$1$HOME_OF_IT
    /usr/bin/python3 -m venv --without-pip "$environment"
    local pip=("$PYTHON" -m pip --python "$environment/bin/python" install -q --no-compile --no-warn-script-location)
    "${pip[@]}" -c "$ROOT/constraints.txt" -r "$ROOT/requirements.txt"
    "${pip[@]}" --no-deps --no-build-isolation --no-index "$TREE"
    # What was written with the staging directory's name in it.
    grep -rlIF "$environment" "$environment/bin" "$environment/pyvenv.cfg" | xargs sed -i "s|$environment|$HOME_OF_IT|g"
    "$environment/bin/python" -m compileall -q -j 2 -s "$1" -p / "$environment/lib" || [ $? = 1 ]
}

place_files() {
    local stage=$1 environment=$1$HOME_OF_IT
    mkdir -p "$stage/usr/bin" "$stage/usr/share/bash-completion" "$stage/etc/nova/policy.d"
    local command
    for command in "$environment"/bin/nova-* "$environment/bin/placement-manage"; do
        ln -s "$HOME_OF_IT/bin/${command##*/}" "$stage/usr/bin/"
    done
    cp -r "$environment/etc/nova" "$stage/etc/"
    install -m 640 "$PARTS/nova.conf" "$stage/etc/nova/nova.conf"
    install -D -m 644 -t "$stage/lib/systemd/system" "$environment"/share/nova/systemd/*
    install -D -m 644 -t "$stage/usr/lib/sysusers.d" "$environment"/share/nova/sysusers.d/*
    install -D -m 644 -t "$stage/usr/lib/tmpfiles.d" "$environment"/share/nova/tmpfiles.d/*
    cp -r "$environment/share/man" "$stage/usr/share/"
    gzip -9n "$stage"/usr/share/man/man?/*
    cp -r "$environment/share/bash-completion/completions" "$stage/usr/share/bash-completion/"
    install -D -m 644 "$ROOT/LICENSE" "$stage/usr/share/doc/$NAME/copyright"
    rm -r "${environment:?}/etc" "${environment:?}/share"
}

write_control() {
    local stage=$1
    mkdir "$stage/DEBIAN"
    sed -e "s|@VERSION@|$VERSION|; s|@ARCHITECTURE@|$(dpkg --print-architecture)|" \
        -e "s|@SIZE@|$(du -sk --exclude=DEBIAN "$stage" | cut -f1)|" \
        -e "s|@PYTHON@|$(/usr/bin/python3 -c 'import sys; print("%d.%d" % sys.version_info[:2])')|" \
        -e "s|@NEXT_PYTHON@|$(/usr/bin/python3 -c 'import sys; print("%d.%d" % (sys.version_info[0], sys.version_info[1] + 1))')|" \
        "$PARTS/control" >"$stage/DEBIAN/control"
    (cd "$stage" && find etc -type f -printf '/%p\n' | sort) >"$stage/DEBIAN/conffiles"
    install -m 755 -t "$stage/DEBIAN" "$PARTS/postinst" "$PARTS/prerm" "$PARTS/postrm"
}

main "$@"
