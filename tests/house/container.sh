#!/bin/sh
# A container engine's stand-in for .ci/smoke: it runs the checkout's own program where an engine would run the image.
# $STAND_IN is its place, $TOCSIN the program.
set -eu
printf '%s\n' "$*" >>"$STAND_IN/told"

serve() {
    cd "$STAND_IN"
    TOCSIN_DATA_DIR=data TOCSIN_PORT=$(cat port) TOCSIN_LOG_FORMAT=json "$TOCSIN" serve >>log 2>&1 &
    echo $! >pid
}

case $1 in
volume) [ "$2" = create ] || rm -rf "$STAND_IN/data" ;;
run)
    printf '%s\n' "$*" | sed 's/.*127.0.0.1:\([0-9]*\):8000.*/\1/' >"$STAND_IN/port"
    serve
    ;;
start) serve ;;
stop)
    kill "$(cat "$STAND_IN/pid")"
    while kill -0 "$(cat "$STAND_IN/pid")" 2>/dev/null; do sleep 0.1; done
    ;;
rm) kill "$(cat "$STAND_IN/pid")" 2>/dev/null || true ;;
inspect)
    case $3 in
    *ExitCode*) echo 0 ;;
    *) if curl --silent --fail --noproxy '*' "http://127.0.0.1:$(cat "$STAND_IN/port")/livez" >/dev/null; then echo healthy; else echo starting; fi ;;
    esac
    ;;
exec)
    case $3 in
    id) echo 10001 ;;
    touch) exit 1 ;;
    cat) cat "$STAND_IN/data/first-key" ;;
    esac
    ;;
logs) cat "$STAND_IN/log" ;;
esac
