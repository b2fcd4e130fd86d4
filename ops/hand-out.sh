#!/bin/sh
# In compose: makes the certificates, and puts each where its part alone reads it.
set -eu
# Each folder is a volume of one part, whose user it is for.
sh /certificates/certificates.sh /authority web worker migrate database cache
for part in web:10001 worker:10001 migrate:10001 database:999 cache:999; do
  name="${part%:*}"
  install -m 444 "/authority/$name.crt" "/parts/$name/part.crt"
  install -m 400 -o "${part#*:}" "/authority/$name.key" "/parts/$name/part.key"
  rm "/authority/$name.key"
done
install -m 444 /authority/authority.crt /trust/authority.crt
