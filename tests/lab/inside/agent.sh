# Runs jobs. The console is a raw line: "run NAME" or "start NAME" in, "@lab@ NAME EXIT-CODE" out.
cd /
stty raw -echo
. "$lab_checkout/tests/lab/inside/prepare.sh"
trap '' INT HUP
echo "@lab@ boot 0"
while read -r how name; do
  job=/chan/jobs/$name
  case $how in
  run)
    /bin/bash "$job.sh" >"$job.out" 2>"$job.err" </dev/null
    echo "@lab@ $name $?"
    ;;
  start)
    # A session of its own: what a job leaves behind can be ended as a whole.
    setsid /bin/bash "$lab_checkout/tests/lab/inside/beside.sh" "$name" &
    echo $! >"/run/lab/$name"
    ;;
  esac
done
# The tests are gone: so is the guest.
echo o >/proc/sysrq-trigger
sleep 60
