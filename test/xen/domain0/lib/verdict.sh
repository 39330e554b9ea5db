# test/xen/domain0/lib/verdict.sh - how a case says what it saw.

said=0

# holds SENTENCE: this was seen to be so.
holds() {
	said=$((said + 1))
	echo "ok: $*"
}

# feature NAME HOW: it was agreed on, used, and what came of it was right; a line of the rig's table (features.sh).
feature() { holds "feature $1: $2"; }

fail() {
	echo "FAILED: $*"
	exit 1
}

skip() {
	echo "skipped: $*"
	exit 77
}

# A case that said nothing has proved nothing.
verdict_end() {
	[ $said -gt 0 ] || fail "the case said nothing"
	exit 0
}

# expect SENTENCE COMMAND...: the command succeeds, and so the sentence holds.
expect() {
	local sentence=$1
	shift
	"$@" || fail "not so: $sentence ($*)"
	holds "$sentence"
}

# same SENTENCE A B: the two texts are one.
same() {
	[ -n "$2" ] && [ "$2" = "$3" ] || fail "not so: $1: '$2' and '$3'"
	holds "$1"
}

# until_true SECONDS COMMAND...: repeats it until it succeeds.
until_true() {
	local until=$((SECONDS + $1))
	shift
	while ! "$@"; do
		[ $SECONDS -lt $until ] || return 1
		sleep 0.1
	done
}

md5_of() { md5sum <"$1" | cut -d' ' -f1; }
