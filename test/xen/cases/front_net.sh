# Our network front end, a process in each of two guests, works with Linux's xen-netback: frames cross the Linux bridge and are echoed.
# boot: linux
# limit: 240
backends linux
modules=xen-evtchn+xen-gntdev+xen-gntalloc
guest front pv 1 "" "$(vif_of 7)" "" $modules
guest echo pv 1 "" "$(vif_of 8)" "" $modules
in_guest echo 'sluice-guest --hv xen net-echo 0 30 >/tmp/echo.log 2>&1 &'
sleep 2
in_guest front 'sluice-guest --hv xen net-ping 0 100 00:16:3e:00:00:08 2>&1'
holds "100 frames there and back"
