#!/bin/sh
# An authority of this installation alone, and a certificate for each part that is named: TLS inside, checked by name.
#   ops/certificates.sh FOLDER NAME…      makes FOLDER/authority.crt, FOLDER/NAME.crt and FOLDER/NAME.key
# The authority's key stays in the folder; certificates are good for 100 days, and each run makes them anew.
set -eu
umask 077
cd "$1" && shift
new_key="-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes"
if [ ! -s authority.key ]; then
  openssl req -x509 $new_key -days 3650 -subj "/CN=Authority of insurance" -addext keyUsage=critical,keyCertSign \
    -keyout authority.key -out authority.crt 2>/dev/null
fi
for name in "$@"; do
  printf 'subjectAltName=DNS:%s\nextendedKeyUsage=serverAuth,clientAuth\n' "$name" >"$name.ext"
  openssl req -new $new_key -subj "/CN=$name" -keyout "$name.key" -out "$name.csr" 2>/dev/null
  openssl x509 -req -days 100 -CA authority.crt -CAkey authority.key -CAcreateserial -extfile "$name.ext" \
    -in "$name.csr" -out "$name.crt" 2>/dev/null
  rm "$name.ext" "$name.csr"
done
chmod 644 ./*.crt
