# shellcheck shell=bash
# shellcheck disable=SC2016,SC2154  # text that must not expand, and variables of the harness
# Tests of ci/night-measure. Part of ci/test-night.

test_measure_leaves_a_night() {
    run here/ci/night-measure
    ends_with 0
    same "$(night .matrix.exit)" 0
    same "$(night .matrix.folder)" reports/2026-11-29T02-17-00Z-nightly
    same "$(night .selftest.folder)" selftest/2026-11-29T03-00-00Z-selftest
    same "$(night .selftest.seed)" "$(date -u +%Y%m%d)"
    same "$(night .image.version)" 20261101.1.0
    same "$(night .plan.worst_minutes)" 1
    has program.log "selftest --quick --seed $(date -u +%Y%m%d)"
    has summary '## wsceiling: nightly'
    has summary '## selftest'
}

test_cells_that_fail_do_not_fail_the_measurement() {
    export STUB_MATRIX_EXIT=1 STUB_SELFTEST_EXIT=1
    run here/ci/night-measure
    ends_with 0
    same "$(night .matrix.exit)" 1
    same "$(night .selftest.exit)" 1
}

test_a_night_without_a_run_folder_is_still_a_night() {
    export STUB_NO_RUN=1
    run here/ci/night-measure
    ends_with 1
    has said '::error title=nothing measured::'
    same "$(night .matrix.folder)" null
    same "$(night .selftest.exit)" 0
}

test_a_plan_that_takes_too_long_is_said_and_run_until_the_limit() {
    export STUB_HIGH_MS=600000 NIGHT_MINUTES=9
    run here/ci/night-measure --check
    ends_with 1
    run here/ci/night-measure
    ends_with 0
    has said '::warning title=time limit::'
    export NIGHT_MINUTES=10
    run here/ci/night-measure --check
    ends_with 0
}

test_the_limit_ends_the_matrix_and_keeps_what_it_wrote() {
    cat >slow <<'END'
#!/usr/bin/env bash
"$STAND_IN" "$@"
[ "$1" != matrix ] || exec perl -e '$SIG{INT} = sub { exit 130 }; sleep 60'
END
    chmod +x slow
    export STAND_IN=$WSCEILING WSCEILING=$PWD/slow NIGHT_MINUTES=0.03
    sed -i 's/-le "\$matrix_minutes"/-le 9/' here/ci/night-measure
    run here/ci/night-measure
    ends_with 0
    same "$(night .matrix.exit)" 130
    same "$(night .matrix.folder)" reports/2026-11-29T02-17-00Z-nightly
}

test_limits_that_nobody_enforces_are_said() {
    export STUB_TRIAL='{"instances": [{"limits": [{"name": "cpus", "enforced_by": null}]}, {"limits": []}]}'
    run here/ci/night-measure
    ends_with 0
    has said '::warning title=limits not enforced::1 of 1 instances'
    same "$(night .limits.not_enforced)" 1
}

test_measuring_uses_root_where_it_may() {
    printf '#!/bin/sh\n[ "$*" != -u ] || { echo 1000; exit; }\nexec /usr/bin/id "$@"\n' >"$work/bin/id"
    printf '#!/bin/bash\nprintf "%%s\\n" "$*" >>"%s"\nwhile [[ $1 == --* ]]; do shift; done\n[ "$1" = chown ] || exec "$@"\n' \
        "$PWD/root.log" >"$work/bin/sudo.new"
    chmod +x "$work/bin/id" "$work/bin/sudo.new"
    mv "$work/bin/sudo" "$work/bin/sudo.old" && mv "$work/bin/sudo.new" "$work/bin/sudo"
    run here/ci/night-measure
    mv "$work/bin/sudo.old" "$work/bin/sudo" && rm "$work/bin/id"
    ends_with 0
    has root.log "env PATH=$PATH"
    has root.log 'matrix ci/nightly.toml'
    has root.log 'chown -R 1000:'
}

test_a_summary_is_never_longer_than_github_takes() {
    head -c 1048000 /dev/zero | tr '\0' x >summary
    STUB_SUMMARY=$(printf 'a line\n%.0s' $(seq 200))
    export STUB_SUMMARY
    run here/ci/night-measure
    ends_with 0
    [ "$(wc -c <summary)" -le 1048576 ]
    has summary '**Cut:**'
}
