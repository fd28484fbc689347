#!/bin/sh
# Install the packages that the rig needs beside Python, on Debian 12 or Ubuntu. Run as root.
# docker.io contains dockerd, containerd, runc and a client in /usr/bin.
set -eu
export DEBIAN_FRONTEND=noninteractive
[ "${1-}" = --no-update ] || apt-get update -qq
# The rig starts its own servers in its own namespaces, not the servers of the packages.
apt-get install -y -qq --no-install-recommends -o Dpkg::Options::=--force-confold \
    docker.io openssh-server openssh-client iptables iproute2 busybox-static rsync python3 \
    slurm-wlm munge slurmctld slurmd slurm-client > /dev/null
