# sluice-blkback serves Linux's xen-blkfront in a PVH guest of two vcpus.
# boot: pvh
# limit: 240
backends sluice bridged
usual_guest pvh2
same "the guest has two vcpus" 2 "$(ask pvh2 10 nproc)"
check_disk pvh2 xvda /images/b.img
