#!/bin/sh
# m2m data mis as people start it: alone, by mpirun, as a Slurm array job, killed again and again, stopped by Ctrl-C, on a
# full disk. All must leave the same files, byte for byte. CTest runs it small; the full figures by hand:
#   CAPTIONS=40 IMAGES=5 KILLS=10 PYTHON=/opt/venv/bin/python SOURCE_DIR=$PWD M2M_PROGRAM=$PWD/build/release/m2m sh tests/system/mis_test.sh
# PYTHON: with the package webdataset, to read the result back.

set -eu
: "${CAPTIONS:=9}" "${IMAGES:=3}" "${KILLS:=3}" "${PYTHON:=}"
work=$(mktemp -d "${TMPDIR:-/tmp}/m2m-mis-XXXXXX")
trap 'rm -rf "$work"' EXIT
unset SLURM_ARRAY_TASK_ID OMPI_COMM_WORLD_RANK PMI_RANK SLURM_PROCID

die() { echo "mis_test: $*" >&2; exit 1; }

# ---- A tiny text-to-image directory and captions with every kind of bad line --------------------------------------
SD=${SD:-$SOURCE_DIR/tests/golden/models/text_to_image}

good() { # number
    printf 'http://example.org/%d.jpg\ta dog %d\n' "$1" "$1"
}
{
    printf 'url\tcaption\n'
    i=0
    while [ $i -lt "$CAPTIONS" ]; do
        good $i
        case $i in
            2) printf 'no column\nhttp://a\t  \n' ;;
            4) printf 'http://a\tnot UTF-8: \377\376\n' ;;
            6) printf 'http://a\t'; yes 'far too many words' | head -n 40 | tr '\n' ' '; echo ;;
        esac
        i=$((i + 1))
    done
} >"$work/captions.tsv"
gzip -k "$work/captions.tsv"

become_mis() { # OUT more…: in a subshell or in the background, whose process it becomes
    out=$1
    shift
    exec "$M2M_PROGRAM" data mis "$SD" "$work/captions.tsv" -o "$out" --images "$IMAGES" --steps 3 --shard 2 --latents \
        --validation 0.2 --test 0.2 --threads 1 "$@"
}

mis() { (become_mis "$@"); }

sums() { (cd "$1" && find . -type f | LC_ALL=C sort | xargs sha256sum); }

same() { # OUT what
    sums "$1" >"$work/sums"
    cmp -s "$work/whole.sums" "$work/sums" || die "$2: other files than one run's: $(diff "$work/whole.sums" "$work/sums" | head -n 4)"
    echo "$2: same files"
    rm -rf "$1"
}

# ---- One run ---------------------------------------------------------------------------------------------------------
took=$(date +%s.%N)
mis "$work/whole" >"$work/log"
took=$(awk "BEGIN { print $(date +%s.%N) - $took }")
sums "$work/whole" >"$work/whole.sums"
grep -q "captions: $((CAPTIONS + 4)) lines, $CAPTIONS used" "$work/log" || die "counts: $(cat "$work/log")"
grep -q "left out: 1 over [0-9]* tokens, 1 without column, 1 empty, 1 not UTF-8, 0 over-long lines" "$work/log" ||
    die "counts: $(cat "$work/log")"
grep -q "holds $CAPTIONS of $CAPTIONS sets" "$work/log" || die "end: $(cat "$work/log")"
"$M2M_PROGRAM" data check "$work/whole/train" >/dev/null
cp -r "$work/whole" "$work/again"
touch "$work/again/.mis.lock"       # left by one that was killed when it had just written mis.json
mis "$work/again" --batch 1 >/dev/null
same "$work/again" "run again"

mis "$work/batch" --batch 1 >/dev/null
same "$work/batch" "another batch"

# ---- Many processes ---------------------------------------------------------------------------------------------------
pids=
for i in 1 2 3 4; do
    (
        export SLURM_ARRAY_TASK_ID=$i SLURM_ARRAY_TASK_MIN=1 SLURM_ARRAY_TASK_MAX=4 SLURM_ARRAY_TASK_COUNT=4
        mis "$work/array" >"$work/log.$i" 2>&1
    ) &
    pids="$pids $!"
done
for pid in $pids; do wait "$pid" || die "array task: exit status $?: $(tail -qn 2 "$work"/log.[1-4])"; done
same "$work/array" "4 tasks of an array job"

if command -v mpirun >/dev/null; then
    export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 OMPI_MCA_rmaps_base_oversubscribe=1
    timeout 120 mpirun -n 2 --bind-to none "$M2M_PROGRAM" data mis "$SD" "$work/captions.tsv" -o "$work/mpi" \
        --images "$IMAGES" --steps 3 --shard 2 --latents --validation 0.2 --test 0.2 --threads 1 >"$work/log" 2>&1 ||
        die "mpirun: $(grep "^m2m:" "$work/log" || tail -n 3 "$work/log")"
    grep -q "share 1/2" "$work/log" || die "mpirun: no rank took share 1/2: $(cat "$work/log")"
    same "$work/mpi" "2 ranks of mpirun"
else
    echo "mpirun is not installed (scripts/install-deps --dev): not tried"
fi

# ---- Deaths -----------------------------------------------------------------------------------------------------------
# At random moments of a run as long as the first one was; a machine may be fast, so one that ended too early is begun anew.
kills=0 begun=0
while [ $kills -lt "$KILLS" ] && [ $begun -lt 20 ]; do
    begun=$((begun + 1))
    [ $kills -gt 0 ] || rm -rf "$work/killed"
    become_mis "$work/killed" >/dev/null &
    pid=$!
    sleep "$(awk "BEGIN { print $took * 2 / ($KILLS + 1) * (0.05 + 0.75 * $(od -An -N2 -tu2 /dev/urandom) / 65536) }")"
    if kill -9 "$pid" 2>/dev/null; then kills=$((kills + 1)); elif [ $kills -gt 0 ]; then break; fi
    wait "$pid" 2>/dev/null || true
done
[ "$kills" -gt 0 ] || die "no run was killed"
mis "$work/killed" >/dev/null
same "$work/killed" "killed $kills times"

become_mis "$work/stopped" --batch 1 >"$work/log" 2>&1 &
pid=$!
until ls "$work"/stopped/train/*.part >/dev/null 2>&1; do sleep 0.02; done
kill -STOP "$pid" || die "the first run ended before it was stopped"
"$M2M_PROGRAM" data mis "$SD" "$work/captions.tsv" -o "$work/stopped" --images "$IMAGES" --steps 3 --shard 2 --latents \
    --validation 0.2 --test 0.2 >/dev/null 2>"$work/second" && die "two runs on one output were not noticed"
kill -INT "$pid"
kill -CONT "$pid"
wait "$pid" && die "Ctrl-C: exit status 0" || [ $? = 130 ] || die "Ctrl-C: $(cat "$work/log")"
grep -q "another run is writing it" "$work/second" || die "two runs: $(cat "$work/second")"
mis "$work/stopped" >/dev/null
same "$work/stopped" "two runs, one stopped by Ctrl-C"

# ---- A full disk --------------------------------------------------------------------------------------------------------
(
    ulimit -f 8
    mis "$work/full" >/dev/null 2>"$work/log" && die "a full disk was not noticed"
    [ "$(wc -l <"$work/log")" = 1 ] || die "a full disk: $(cat "$work/log")"
    grep -q "^m2m: $work/full/.*File too large" "$work/log" || die "a full disk: $(cat "$work/log")"
)
mis "$work/full" >/dev/null
same "$work/full" "full disk, then room"

# ---- Other inputs -----------------------------------------------------------------------------------------------------
if mis "$work/whole" --steps 4 >/dev/null 2>"$work/log"; then die "other options were taken for an old directory"; fi
grep -q "made with steps 3, asked is 4" "$work/log" || die "other options: $(cat "$work/log")"
"$M2M_PROGRAM" data mis "$SD" "$work/captions.tsv.gz" --plan --images "$IMAGES" --steps 3 >"$work/log"
grep -q "^all of CC12M: 12237187 captions x $IMAGES = " "$work/log" || die "plan: $(cat "$work/log")"

[ -n "$PYTHON" ] || exit 0
"$PYTHON" - "$work/whole" "$CAPTIONS" "$IMAGES" <<'PY'
import glob, io, json, sys
import numpy, webdataset
out, captions, images = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
seen = 0
for url in sorted(glob.glob(out + "/*/*.tar")):
    for s in webdataset.WebDataset(url, shardshuffle=False, empty_check=False).decode("rgb8"):
        assert s["__key__"] == "%09d" % s["json"]["caption_id"], s["__key__"]
        assert s["txt"] == s["json"]["caption"] and len(s["json"]["seeds"]) == images
        pictures = [s["%02d.jpg" % k] for k in range(images)]
        assert all(p.shape == (s["json"]["height"], s["json"]["width"], 3) for p in pictures)
        z = s["latents.npy"]
        z = z if isinstance(z, numpy.ndarray) else numpy.load(io.BytesIO(z))
        assert z.dtype == numpy.float16 and z.shape[0] == images and numpy.isfinite(z).all()
        seen += 1
assert seen == captions, (seen, captions)
print("webdataset %s reads all %d sets of %d images" % (webdataset.__version__, seen, images))
PY
