#!/bin/sh
# Start a server of a host: service.sh ssh | docker
case $1 in
ssh)
    exec env -i PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
        /usr/sbin/sshd -f /opt/rig/sshd_config -E /var/log/sshd.log
    ;;
docker)
    # containerd is dockerd's child; after a kill -9 of dockerd it may live on for a moment.
    rm -f /run/docker.pid /run/docker/containerd/containerd.pid
    # --default-runtime: see runc-without-memlock.
    setsid dockerd --exec-opt native.cgroupdriver=cgroupfs --cgroup-parent="$(cat /opt/rig/cgroup)" \
        --storage-driver overlay2 --add-runtime rig=/opt/rig/runc-without-memlock \
        --default-runtime rig >>/var/log/dockerd.log 2>&1 </dev/null &
    ;;
esac
