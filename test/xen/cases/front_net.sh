# Our network front end, a process in each of two guests, works with Linux's xen-netback: frames cross the Linux bridge and are echoed; of
# multicast frames only those come that are listed.
# boot: linux
# limit: 240
backends linux
modules=xen-evtchn+xen-gntdev+xen-gntalloc
guest front pv 1 "" "$(vif_of 7)" "" $modules
guest echo pv 1 "" "$(vif_of 8)" "" $modules
in_guest echo 'sluice-guest --hv xen net-echo 0 30 >/tmp/echo.log 2>&1 </dev/null & echo $! >/tmp/echo.pid'
sleep 2
in_guest front 'sluice-guest --hv xen net-ping 0 100 00:16:3e:00:00:08 2>&1'
holds "100 frames there and back"

# Multicast frames from one guest to the other. The bridge hands on what came from a port as multicast frames, which xen-netback filters;
# it does not filter those of Domain-0's own. Pings, which nobody answers, are what else comes.
in_guest echo 'kill $(cat /tmp/echo.pid); n=0; while kill -0 $(cat /tmp/echo.pid) 2>/dev/null && [ $n -lt 100 ]; do usleep 50000; n=$((n + 1)); done
sluice-guest --hv xen net-send 0 64 100 01:00:5e:00:00:63 --rate 50 >/tmp/send.log 2>&1 </dev/null &'
ip neigh replace 10.9.0.7 lladdr 00:16:3e:00:00:07 dev xenbr0
ping -q -i 0.02 -c 10000 10.9.0.7 >/dev/null &
pings=$!
in_guest front 'sluice-guest --hv xen net-multicast 0 01:00:5e:00:00:63 20 2>&1 | tee /tmp/said; test $(grep -c "frames to the group" /tmp/said) = 4'
kill $pings
ip neigh del 10.9.0.7 dev xenbr0
feature "multicast control" "$(ask front 5 'tail -n 4 /tmp/said | tr "\n" ";"')"
for name in front echo; do
	guest_destroy $name
done
