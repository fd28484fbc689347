#!/bin/sh
# Boot of a host: make users, start sshd and the Docker daemon. The host's power is the pipe on
# standard input: when the other end is closed, also by the death of the process that holds it, this
# script ends, and with it all processes of the host.
set -eu
cd /
umount -l /old && rmdir /old
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin

user() { # NAME ID: may log in with a key
    id "$1" >/dev/null 2>&1 || {
        shell=$(cat "/home/$1/.login-shell" 2>/dev/null) || shell=/bin/bash
        echo "$1:x:$2:$2::/home/$1:$shell" >>/etc/passwd
        echo "$1:x:$2:" >>/etc/group
        echo "$1:*:19000:0:99999:7:::" >>/etc/shadow # '!' would count as locked without PAM
    }
    home=$(getent passwd "$1" | cut -d: -f6)
    install -d -m755 -o "$1" -g "$1" "$home"
    install -d -m700 -o "$1" -g "$1" "$home/.ssh"
    install -m600 -o "$1" -g "$1" /opt/rig/authorized_keys "$home/.ssh/authorized_keys"
}
user root 0
user ops 2001
user nobodyd 2002
groupadd -f docker
usermod -a -G docker ops # nobodyd may log in but not use Docker
chown ops: /data

# Simulated: no host of the rig has a GPU.
install -m755 /opt/rig/nvidia-smi /usr/local/bin/nvidia-smi
install -m755 /opt/rig/nvidia-container-runtime-hook /usr/bin/nvidia-container-runtime-hook
rm -f /usr/local/bin/docker # another client than the daemon's

rm -rf /etc/ssh/ssh_host_* /etc/ssh/sshd_config.d
for type in ed25519 ecdsa; do
    [ -f /system/ssh/host_$type ] || ssh-keygen -q -t $type -N '' -f /system/ssh/host_$type
done
mkdir -p -m755 /run/sshd
sh /opt/rig/service.sh ssh
sh /opt/rig/service.sh docker
echo booted
exec cat >/dev/null
