# One job beside others; while it runs, /run/lab/NAME holds its process group.
job=/chan/jobs/$1
/bin/bash "$job.sh" >"$job.out" 2>"$job.err" </dev/null
code=$?
rm -f "/run/lab/$1"
echo "@lab@ $1 $code"
