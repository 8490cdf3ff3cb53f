#!/usr/bin/env bash
# Installs Chromium for the browser test where that is possible without asking: as root, on a system with apt.
# Never fails: without a browser that one test is skipped.
set -uo pipefail
for name in chromium chromium-browser google-chrome; do
  command -v "$name" >/dev/null && exit 0
done
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
  echo "installing Chromium for the browser test ..."
  export DEBIAN_FRONTEND=noninteractive
  { apt-get update -qq && apt-get install -qq -y --no-install-recommends chromium fonts-dejavu-core; } >/dev/null 2>&1 \
    || echo "Chromium could not be installed; the browser test will be skipped"
else
  echo "no Chromium found; the browser test will be skipped"
fi
exit 0
