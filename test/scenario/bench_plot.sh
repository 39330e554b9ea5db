#!/bin/bash
# The picture of a bench's figures.
. "${SLUICE_SOURCE:?}/test/lib/scenario.sh" || exit 1
scenario_requires gnuplot
scenario_begin
plot=(python3 -B bench/plot.py)

cat >"$system_dir/results.json" <<'END'
{
  "net.g2b.64.mpps": 30, "net.g2b.64.mpps.min": 27, "net.g2b.64.mpps.max": 33,
  "net.peer.vhost.g2b.64.mpps": 20, "net.peer.memif.g2b.64.mpps": 22,
  "net.g2b.64.ratio": 1.36, "net.rtt_polling_us": 1.3
}
END
"${plot[@]}" "$system_dir/results.json" "$system_dir/picture.svg" || fail "a picture is drawn"
for word in sluice memif vhost g2b.64 net.g2b.64.ratio net.rtt_polling_us '1.36, >= 1.5'; do
	grep -qF ">$word<" "$system_dir/picture.svg" || fail "the picture says $word"
done
holds "a picture shows our figures beside the peers', and beside their targets"

"${plot[@]}" "$system_dir/results.json" "$system_dir/picture.png" || fail "a picture of the other kind is drawn"
file_begins=$(head -c 4 "$system_dir/picture.png" | tail -c 3)
[ "$file_begins" = PNG ] || fail "picture.png begins with $file_begins"
holds "the picture's suffix says its kind"

echo '{"net.unheard_of": 1}' >"$system_dir/empty.json"
refuses "nothing to draw" "${plot[@]}" "$system_dir/empty.json" "$system_dir/no.svg"
refuses ".svg or .png" "${plot[@]}" "$system_dir/results.json" "$system_dir/no.gif"
refuses "cannot be read" "${plot[@]}" "$system_dir/none.json" "$system_dir/no.svg"
refuses "cannot be drawn" "${plot[@]}" "$system_dir/results.json" "$system_dir/no/folder.svg"
[ ! -e "$system_dir/no.svg" ] && [ ! -e "$system_dir/no.gif" ] || fail "what is refused leaves no file"
holds "what is refused leaves no file"
