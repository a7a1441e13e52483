#!/bin/bash
# Starts a Ceph cluster of one monitor and one OSD, which keeps objects in memory: ceph.sh FOLDER PORT.
# FOLDER is a new one and gets ceph.conf, the keys, the logs, and the process ids in mon.a.pid and osd.0.pid.
set -euo pipefail
folder=$1 monitor=[v1:127.0.0.1:$2]
export CEPH_CONF=$folder/ceph.conf

# For an address without "v1:", a client also tries version 2 of the protocol, which the monitor does not serve.
cat > "$CEPH_CONF" << END
[global]
fsid = $(cat /proc/sys/kernel/random/uuid)
mon host = $monitor
ms bind msgr2 = false
osd pool default size = 1
osd pool default min size = 1
osd crush chooseleaf type = 0
mon allow pool size one = true
mon warn on pool no redundancy = false
mon data = $folder/mon
mon data avail crit = 1
osd data = $folder/osd
osd objectstore = memstore
memstore device bytes = 2147483648
run dir = $folder
pid file = $folder/\$name.pid
log file = $folder/\$name.log
admin socket = $folder/\$name.\$pid.asok
keyring = $folder/keyring
END
mkdir "$folder/mon" "$folder/osd"

# One file of keys for all: the monitor takes over what is in it.
ceph-authtool --create-keyring "$folder/keyring" --gen-key --name mon. --cap mon 'allow *' > /dev/null
ceph-authtool "$folder/keyring" --gen-key --name client.admin --cap mon 'allow *' --cap osd 'allow *' > /dev/null
ceph-authtool "$folder/keyring" --gen-key --name osd.0 --cap mon 'allow profile osd' --cap osd 'allow *' > /dev/null
monmaptool --create --fsid "$(ceph-conf --lookup fsid)" --addv a "$monitor" "$folder/map" > /dev/null
ceph-mon --id a --mkfs --monmap "$folder/map" --keyring "$folder/keyring"
ceph-mon --id a

# The monitor refuses commands until it has elected itself.
osd=$(cat /proc/sys/kernel/random/uuid)
for ((attempt = 1; ; attempt++)); do
    ! ceph --connect-timeout 30 osd create "$osd" > /dev/null 2>> "$folder/ceph.log" || break
    ((attempt < 10)) || { cat "$folder/ceph.log" >&2 && exit 1; }
done
ceph-osd --id 0 --mkfs --osd-uuid "$osd"
ceph-osd --id 0

# The latter waits for the OSD.
ceph osd pool create rbd 8 2> /dev/null
rbd pool init rbd
