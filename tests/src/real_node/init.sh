# PID 1 of a node. Puts everything that a kubelet writes out of the machine's reach, says `ready`, and reaps orphans until it
# is killed; the kernel then kills all that runs in its namespaces.
#
# Arguments: the node's name, the folder that lasts over a reboot, the node's address with the length of its prefix, and the
# other addresses that it has.
set -eu
name=$1 storage=$2 address=$3
shift 3

echo "$name" > /proc/sys/kernel/hostname

for folder in /dev/shm /run /var/lib /var/log; do
    mount -t tmpfs tmpfs "$folder"
done
for folder in kubelet containerd; do
    mkdir "/var/lib/$folder"
    mount --bind "$storage/$folder" "/var/lib/$folder"
done

# Seen from this network namespace; what could be set in it is the machine's.
mount -t sysfs -o ro sysfs /sys
# Seen from this cgroup namespace: the root is the node's own cgroup.
if grep -q -v '^0:' /proc/self/cgroup; then
    mount -t tmpfs tmpfs /sys/fs/cgroup
    while IFS=: read -r _ controllers _; do
        case $controllers in
        '') folder=unified ;;
        *) folder=${controllers#name=} ;;
        esac
        mkdir "/sys/fs/cgroup/$folder"
        case $controllers in
        '') mount -t cgroup2 cgroup2 "/sys/fs/cgroup/$folder" ;;
        name=*) mount -t cgroup -o "none,$controllers" cgroup "/sys/fs/cgroup/$folder" ;;
        *) mount -t cgroup -o "$controllers" cgroup "/sys/fs/cgroup/$folder" ;;
        esac
    done < /proc/self/cgroup
else
    mount -t cgroup2 cgroup2 /sys/fs/cgroup
fi

# All settings but those of the network are the machine's, and can only be read.
mount --bind /proc/sys /proc/sys
mount -o remount,bind,ro /proc/sys
mount --bind /proc/sys/net /proc/sys/net
mount -o remount,bind,rw /proc/sys/net
# A kubelet insists on these, and writes what is not as it wants it.
pretend() {
    file=/run/pretended-$(echo "$1" | tr / -)
    echo "$2" > "$file"
    mount --bind "$file" "/proc/sys/$1"
}
pretend vm/overcommit_memory 1
pretend vm/panic_on_oom 0
pretend kernel/panic 10
pretend kernel/panic_on_oops 1
pretend kernel/keys/root_maxkeys 1000000
pretend kernel/keys/root_maxbytes 25000000
# By this it knows that the machine was started anew.
mount --bind "$storage/boot-id" /proc/sys/kernel/random/boot_id

# A peer group of its own, so that mounts for volumes reach the containers.
mount --make-rshared /

ip link set lo up
for other; do
    ip address add "$other" dev lo
done
# The network plugin would make it for the first pod; the kubelet wants its address before.
ip link add cni0 type bridge
ip address add "$address" dev cni0
ip link set cni0 up

echo ready
exec > /dev/null
while :; do
    sleep 1000000 &
    # Reaps whoever ends, also those whose parents have ended.
    wait $!
done
