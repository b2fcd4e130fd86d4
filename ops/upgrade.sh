#!/usr/bin/env bash
# Brings a machine that runs ops/compose.yaml to another image: ops/upgrade.sh ghcr.io/OWNER/insurance:1.2.3
# The old version serves until the new one answers. Where something fails, the old one goes on.
set -euo pipefail
export IMAGE="${1:?the image to run}"
cd "${INSURANCE:-/srv/insurance}"
compose() { docker compose --file ops/compose.yaml --env-file ops/compose.env "$@"; }

compose pull --quiet web
compose exec -T worker flask --app wsgi backup create
compose run --rm -T migrate
# A second web process of the new image beside the old one, then the old one goes.
compose up --detach --no-deps --no-recreate --scale web=2 --wait web
old="$(compose ps --quiet web | xargs docker inspect --format '{{.Created}} {{.Id}}' | sort | head -1 | cut -d' ' -f2)"
docker stop --timeout 40 "$old" && docker rm "$old"
compose up --detach --no-deps --no-recreate --scale web=1 --wait web
compose up --detach --no-deps worker
sed -i "s|^#* *IMAGE=.*|IMAGE=$IMAGE|" ops/compose.env
compose exec -T worker flask --app wsgi check --deploy
