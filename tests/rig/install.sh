#!/bin/sh
# What the rig needs beside Python on Debian 12 or Ubuntu: real hosts, real links, real engines. Run as root.
# docker.io brings dockerd, containerd, runc and a client of its own in /usr/bin.
set -eu
export DEBIAN_FRONTEND=noninteractive
[ "${1-}" = --no-update ] || apt-get update -qq
# The Debian packages start nothing here: the rig starts its own servers in its own namespaces.
apt-get install -y -qq --no-install-recommends -o Dpkg::Options::=--force-confold \
    docker.io openssh-server openssh-client iptables iproute2 busybox-static rsync python3 > /dev/null
