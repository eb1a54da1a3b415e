#!/bin/sh
# Makes a Docker image out of this machine's own PostgreSQL programs: image.sh BIN_DIR SHARE_DIR IMAGE DIR.
# Nothing is fetched. DIR is emptied scratch space.
set -eu
bin=$1 share=$2 image=$3 root=$4/root
mkdir -p "$root/tmp" "$root/etc" "$root/bin" "$root/var/run/postgresql"
chmod 1777 "$root/tmp" "$root/var/run/postgresql"
printf 'root:x:0:0::/:/bin/sh\npostgres:x:999:999::/tmp:/bin/sh\n' > "$root/etc/passwd"
cp -L /bin/sh "$root/bin/sh"
lib=$(dirname "$bin")/lib
mkdir -p "$root$bin" "$root$share" "$root$lib"
cp -L "$bin/initdb" "$bin/postgres" "$root$bin/"
cp -RL "$share/." "$root$share/"
cp -L "$lib"/*.so* "$root$lib/" 2>/dev/null || true
for program in /bin/sh "$bin/initdb" "$bin/postgres" "$lib/dict_snowball.so" "$lib/plpgsql.so"; do
    ldd "$program" 2>/dev/null | grep -o '/[^ ]*' | while read -r file; do
        mkdir -p "$root$(dirname "$file")"
        cp -nL "$file" "$root$file" 2>/dev/null || true
    done
done
tar -C "$root" -c . | docker import --change 'USER postgres' - "$image" > /dev/null
