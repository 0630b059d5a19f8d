#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Direction of dependency: which folder may include which (ARCHITECTURE.md, "Layers"). Prints TAP.
top=${abs_top_srcdir:-$(cd "$(dirname "$0")/../.." && pwd)}
cd "$top" || exit 1
failed=0 count=0

# folder | project folders it may include from | reason
rules='src/common|common|common includes nothing of ours outside itself
src/storage|common storage|images and pools know neither networks nor the daemon
src/network|common network|networks know neither storage nor the daemon
src/vmm|common storage vmm|the VMM never includes the daemon
src/driver/rpc|common driver/rpc|the wire knows no domain
src/driver/conf|common driver/conf|definitions know no back end, no RPC, no live object
src/driver/host|common driver/host driver/conf|host facts know no RPC and no live object
src/driver/backend|common storage driver/backend driver/conf driver/host|back ends know no RPC and no live object'

while IFS='|' read -r folder allowed reason; do
    bad=
    while IFS=: read -r file _ include; do
        path=${include#*\"} path=${path%\"*} # no process a line: there are thousands
        # Only paths that begin with a folder of ours count.
        case $path in */*) ;; *) continue ;; esac
        [ -d "src/${path%%/*}" ] || continue
        okay=
        for a in $allowed; do
            case $path in "$a"/*) okay=yes ;; esac
        done
        [ -n "$okay" ] || bad="$bad$file includes $path
"
    done < <(grep -rn '^#include "' "$folder" --include='*.c' --include='*.h' 2>/dev/null)
    count=$((count + 1))
    if [ -z "$bad" ]; then
        echo "ok $count - $folder: $reason"
    else
        failed=1
        echo "not ok $count - $folder: $reason"
        printf '%s' "$bad" | sed 's/^/# /'
    fi
done <<<"$rules"

count=$((count + 1))
# The engine in src/storage is what the VMM links; pools beside it are the daemon's, on GLib and libxml2.
engine=$(ls src/storage/{image,qcow2,luks,host_file}*.[ch])
bad=$(grep -rnE '#include <(glib|gio|libxml)|#include "(common/(xml|error|lock|fd|uuid)|storage/(pool|storage|volume))' \
    src/vmm $engine 2>/dev/null)
if [ -z "$bad" ]; then
    echo "ok $count - no GLib and no libxml2 in the VMM and the image engine"
else
    failed=1
    echo "not ok $count - no GLib and no libxml2 in the VMM and the image engine"
    sed 's/^/# /' <<<"$bad"
fi
echo "1..$count"
[ $failed -eq 0 ] || true
