# Sends real packets through a ruleset and prints which rules the kernel ran for each of them.
#
# usage: packets.sh RULESET ENDPOINTS PACKET...
#
# RULESET is nft text, ENDPOINTS is `here` or `there`: whether 10.244.0.5 and 10.244.0.6 are
# addresses of this host or of the pod behind `veth0`. A PACKET is `node ADDRESS PORT` or
# `pod ADDRESS PORT`. The trace of each packet ends with a line of `----`.
ruleset=$1
endpoints=$2
shift 2

printf %s "$ruleset" | nft -f - || exit 1
nft -f - <<'RULES' || exit 1
add table ip trace
add chain ip trace output { type filter hook output priority -300; }
add chain ip trace prerouting { type filter hook prerouting priority -300; }
add rule ip trace output tcp flags & (syn|ack) == syn meta nftrace set 1
add rule ip trace prerouting iifname "veth0" tcp flags & (syn|ack) == syn meta nftrace set 1
RULES

unshare --net sleep 180 &
pod=$!
in_pod() { nsenter --target "$pod" --net "$@"; }
for _ in $(seq 50); do
    [ "$(readlink /proc/$pod/ns/net)" != "$(readlink /proc/self/ns/net)" ] && break
    sleep 0.1
done

ip link set lo up
ip address add 192.0.2.1/32 dev lo
ip link add veth0 type veth peer name eth0 netns "$pod"
ip address add 10.244.1.1/24 dev veth0
ip link set veth0 up
in_pod ip link set lo up
in_pod ip address add 10.244.1.9/24 dev eth0
in_pod ip link set eth0 up
in_pod ip route add default via 10.244.1.1
for address in 10.244.0.5 10.244.0.6; do
    case $endpoints in
    here) ip address add $address/32 dev lo ;;
    there) in_pod ip address add $address/32 dev lo ;;
    esac
done
ip route add default via 10.244.1.9 src 192.0.2.1
echo 1 >/proc/sys/net/ipv4/ip_forward

trace=$(mktemp)
nft monitor trace >>"$trace" &
monitor=$!
# Ends the trace of one packet: once there is something of it and nothing more has come for a while,
# so that what the monitor is slow to write does not count for the next packet. Bounded.
end_packet() {
    last=$marked
    for _ in $(seq 20); do
        sleep 0.3
        size=$(stat --format %s "$trace")
        [ "$size" -gt "$marked" ] && [ "$size" -eq "$last" ] && break
        last=$size
    done
    echo ---- >>"$trace"
    marked=$(stat --format %s "$trace")
}
marked=0
connect='echo >"/dev/tcp/$0/$1"'
# The monitor listens once it has seen a packet.
for _ in $(seq 50); do
    timeout 0.5 bash -c "$connect" 127.0.0.1 1 2>/dev/null
    [ -s "$trace" ] && break
    sleep 0.1
done
end_packet
for packet; do
    # shellcheck disable=SC2086 # a packet is three words
    set -- $packet
    case $1 in
    node) timeout 0.9 bash -c "$connect" "$2" "$3" 2>/dev/null ;;
    pod) timeout 0.9 nsenter --target "$pod" --net bash -c "$connect" "$2" "$3" 2>/dev/null ;;
    esac
    end_packet
done
kill "$monitor" "$pod"
cat "$trace"
rm "$trace"
