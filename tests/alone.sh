# Run a command in a network in which loopback is all there is, where the system gives one; elsewhere as it is.
for way in --net '--map-root-user --net'; do
  # shellcheck disable=SC2086
  if unshare $way ip link set lo up 2>/dev/null; then
    exec unshare $way sh -c 'ip link set lo up && exec "$@"' alone "$@"
  fi
done
exec "$@"
