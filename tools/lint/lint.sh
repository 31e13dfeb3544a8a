#!/usr/bin/env bash
# usage: tools/lint/lint.sh [--text | --build DIR]
#
# The rules of CONTRIBUTING.md that a machine can check. Prints each offence; exit status 1 if there is any.
# --text: only what shows in the text, without a build. --build: the objects of DIR, not of build/release.

. "$(dirname "$0")/../../scripts/lib.sh"

text_only=no
build=build/release
case "${1:-}" in
    "") ;;
    --text) text_only=yes ;;
    --build) build=$(cd "$CALLER" && cd "$2" && pwd) ;;
    -h | --help) usage; exit 0 ;;
    *) usage >&2; exit 2 ;;
esac

found=$(mktemp)
trap 'rm -f "$found"' EXIT
report() { say "$*" >>"$found"; }

# ---- Text: layers, lengths, conditional compilation ---------------------------------------------------------------
# A folder includes only folders of a lower level.
layers="base:0 tensor:1 image:1 text:1 graph:2 cpu:3 nn:3 models:4 diffusion:5 data:6 eval:6 train:7 lib:8 app:9"
sources=$(find src app include tests tools -type f \( -name '*.c' -o -name '*.h' -o -name '*.def' \) | LC_ALL=C sort)
# shellcheck disable=SC2086 # the names hold no spaces
LC_ALL=C awk -v LAYERS="$layers" -v MAX_FILE=800 -v MAX_FUNCTION=80 -v MAX_LINE=120 -f tools/lint/source.awk $sources >>"$found"

# ---- Shell ---------------------------------------------------------------------------------------------------------
scripts=$(find scripts .ci tools tests -type f \( -path 'scripts/*' -o -path '.ci/*' -o -name '*.sh' \) | LC_ALL=C sort)
for script in $scripts; do
    case "$(head -n 1 "$script")" in
        *bash*) bash -n "$script" 2>>"$found" || true ;;
        *) sh -n "$script" 2>>"$found" || true ;;
    esac
done
if command -v shellcheck >/dev/null; then
    # shellcheck disable=SC2086
    shellcheck -x -P SCRIPTDIR -f gcc $scripts >>"$found" || true
else
    warn "shellcheck is not installed (scripts/install-deps --dev): shell scripts checked for syntax only"
fi

# ---- Objects: no exit, no abort, no environment, no mutable variables; exported symbols ----------------------------
check_object() {
    local object=$1 name=${1##*CMakeFiles/} allowed='^$' symbol
    name=${name#*.dir/}
    name=${name%.o}
    [ "$name" = src/base/error.c ] && allowed='^abort$' # check_failed
    while read -r symbol; do
        if ! [[ $symbol =~ $allowed ]]; then report "$name: calls $symbol"; fi
    done < <(nm -u "$object" | awk '{print $2}' | sed 's/@.*//' |
        grep -xE 'exit|_exit|_Exit|quick_exit|abort|getenv|secure_getenv|__assert_fail|setenv|putenv' || true)
    # Data and zero-initialised data; .data.rel.ro is constant after loading.
    while read -r symbol; do
        report "$name: mutable variable $symbol"
    done < <(objdump -t "$object" | LC_ALL=C awk '
        $1 ~ /^[0-9a-f]+$/ {
            section = ""; for (i = 2; i <= NF; i++) if ($i ~ /^(\.data|\.bss|\.tdata|\.tbss|\*COM\*)/) { section = $i; break }
            if (section != "" && section !~ /^\.data\.rel\.ro/ && $NF != section && $NF !~ /^\.gomp_critical/ && $NF !~ /^\./) print $NF
        }')
}

if [ $text_only = no ]; then
    [ -f "$build/libm2m.so" ] || build_preset release
    while read -r object; do
        # Objects of sources that are gone stay in the build folder.
        source=${object##*.dir/}
        if [ -f "${source%.o}" ]; then check_object "$object"; fi
    done < <(find "$build"/CMakeFiles/m2m_base.dir "$build"/CMakeFiles/m2m_objects.dir -name '*.o' 2>/dev/null | LC_ALL=C sort)
    while read -r symbol; do
        report "libm2m.so: exports $symbol, which does not start with m2m_"
    done < <(nm -D --defined-only "$build"/libm2m.so | awk '{print $3}' | sed 's/@.*//' | grep -v '^m2m_' || true)
    while read -r symbol; do
        report "libm2m.a: exports $symbol, which does not start with m2m_"
    done < <(nm -g --defined-only "$build"/libm2m.a | awk 'NF == 3 {print $3}' | grep -vE '^(m2m_|\.gomp_critical_)' || true)
fi

if [ -s "$found" ]; then
    cat "$found"
    say "lint: $(wc -l <"$found") offences"
    exit 1
fi
say "lint: $(wc -w <<<"$sources") C files and $(wc -w <<<"$scripts") scripts, no offence"
