#!/bin/sh
# Power a host on: in new namespaces, build its root file system and become its first process.
#
#   boot.sh NAME PLACE SCRIPTS CGROUP
#
# PLACE holds system.img, data.img, authorized_keys and an empty root/. CGROUP: hosts share a kernel.
#
# The host sees only /usr and /etc of this machine's files, each below a writable layer.
set -eu
name=$1 place=$2 scripts=$3 cgroup=$4 root=$2/root
hostname "$name"
mount -t tmpfs -o size=2g,mode=755 tmpfs "$root"
cd "$root"
mkdir -p proc sys dev run tmp var/log var/tmp var/cache var/lib/docker opt/rig mnt old system data home root
chmod 1777 tmp var/tmp
for d in usr etc; do
    mkdir -p "$d" "layer/$d/up" "layer/$d/work"
    mount -t overlay overlay \
        -o "lowerdir=/$d,upperdir=$root/layer/$d/up,workdir=$root/layer/$d/work" "$d"
done
for d in bin sbin lib lib32 lib64 libx32; do
    if [ -L "/$d" ]; then
        cp -a "/$d" .
    elif [ -d "/$d" ]; then
        mkdir "$d" && mount --bind "/$d" "$d"
    fi
done
ln -s /run var/run
mount -t proc proc proc
mount --rbind /sys sys
mount --rbind /dev dev
mount -t tmpfs tmpfs dev/shm
mount -t tmpfs -o mode=755 tmpfs run

# Disks: their content survives a power cut, memory does not. This machine never loses its power:
# nothing of theirs needs to reach its own disk (barrier=0), which each fsync of Docker waited for.
mount -o loop,barrier=0 "$place/system.img" system
mount -o loop,barrier=0 "$place/data.img" data
mkdir -p system/docker system/home system/root system/ssh
mount --bind system/docker var/lib/docker # overlay2 cannot lie on an overlay
mount --bind system/home home
mount --bind system/root root
cp "$scripts"/* "$place/authorized_keys" opt/rig/
chmod 755 opt/rig/*
echo "/$cgroup" >opt/rig/cgroup

echo "$name" >etc/hostname
printf '127.0.0.1 localhost\n127.0.1.1 %s\n' "$name" >hosts.new && mv hosts.new etc/hosts
rm -f etc/resolv.conf && : >etc/resolv.conf # nothing outside the rig has a name
pivot_root . old
exec chroot . /usr/bin/docker-init -- sh /opt/rig/init.sh
