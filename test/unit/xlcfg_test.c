/*
 * test/unit/xlcfg_test.c - what a person may write into an xl.cfg file, and what is answered to what a person may not.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tools/config_keys.h"
#include "tools/domain_config.h"
#include "tools/vdev.h"

/* ---- vdev ----------------------------------------------------------------------------------------------------------- */

static void vdev_names_have_xens_numbers(void **state)
{
	static const struct {
		const char *name;
		uint32_t number;
		const char *back; /* the name the number gives, where it is another */
	} cases[] = {
		{ "xvda", 51712, NULL },
		{ "xvdb", 51728, NULL },
		{ "xvda1", 51713, NULL },
		{ "xvdp", 51952, NULL },
		{ "xvdp15", 51967, NULL },
		{ "xvdq", 0x10001000, NULL },
		{ "xvdz", 0x10001900, NULL },
		{ "xvdaa", 0x10001a00, NULL },
		{ "xvda16", 0x10000010, NULL },
		{ "xvdzz", 0x1002bd00, NULL },
		{ "hda", 768, NULL },
		{ "hdb3", 835, NULL },
		{ "hdc", 5632, NULL },
		{ "sda", 2048, NULL },
		{ "sdp15", 2303, NULL },
		{ "d0p1", 51713, "xvda1" },
		{ "d16", 0x10001000, "xvdq" },
		{ "51712", 51712, "xvda" },
		{ "0xca10", 51728, "xvdb" },
	};
	char name[32];

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		uint32_t number = 0;

		assert_int_equal(vdev_parse(cases[i].name, &number), 0);
		assert_int_equal(number, cases[i].number);
		assert_string_equal(vdev_name(number, name, sizeof(name)), cases[i].back ? cases[i].back : cases[i].name);
	}
}

static void vdev_nonsense_is_refused(void **state)
{
	static const char *const cases[] = {
		"",    "xvd", "xvd1", "xvda0", "xvda256", "xvdA", "hde", "hda64", "sdq", "sda16", "vda",
		"xvda1b", "xvda ", "d", "dp1", "d1p", "0", "-1", "1x", "xvdaaaaaaaaaaa", "d1p1x", "536870912",
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		uint32_t number = 7;

		assert_int_not_equal(vdev_parse(cases[i], &number), 0);
		assert_int_equal(number, 7); /* untouched */
	}
}

/* ---- vif ------------------------------------------------------------------------------------------------------------ */

static void vif_strings_give_their_settings(void **state)
{
	char why[200];
	struct vif_spec vif;

	assert_int_equal(vif_spec_parse(&vif, "", why, sizeof(why)), 0);
	assert_false(vif.has_mac);
	assert_int_equal(vif.devid, -1);

	assert_int_equal(vif_spec_parse(&vif,
					" mac=00:16:3E:0a:0B:ff , bridge=br0,vifname=v1.0,ip=10.0.0.1,mtu=9000,devid=3,"
					"type=vif,model=e1000,backend=0",
					why, sizeof(why)),
			 0);
	assert_true(vif.has_mac);
	assert_memory_equal(vif.mac, "\x00\x16\x3e\x0a\x0b\xff", 6);
	assert_string_equal(vif.bridge, "br0");
	assert_string_equal(vif.vifname, "v1.0");
	assert_string_equal(vif.ip, "10.0.0.1");
	assert_int_equal(vif.mtu, 9000);
	assert_int_equal(vif.devid, 3);
	assert_int_equal(vif.rate_bytes, 0);

	assert_int_equal(vif_spec_parse(&vif, "rate=8Mb/s", why, sizeof(why)), 0);
	assert_int_equal(vif.rate_bytes * 1000000 / vif.rate_usecs, 1000000);
	assert_int_equal(vif_spec_parse(&vif, "rate=1MB/s@20ms", why, sizeof(why)), 0);
	assert_int_equal(vif.rate_bytes, 20000);
	assert_int_equal(vif.rate_usecs, 20000);
}

static void vif_mistakes_are_named(void **state)
{
	static const struct {
		const char *text, *word;
	} cases[] = {
		{ "mac=00:16:3e:00:00", "mac" },
		{ "mac=00:16:3e:00:00:0g", "mac" },
		{ "mac=00:16:3e:00:00:00:00", "mac" },
		{ "mac=00-16-3e-00-00-00", "mac" },
		{ "mac=", "mac" },
		{ "mac=01:16:3e:00:00:00", "unicast" },
		{ "mac=00:00:00:00:00:00", "unicast" },
		{ "mca=00:16:3e:00:00:01", "mca" },
		{ "bridge", "bridge" },
		{ "bridge=", "bridge" },
		{ "bridge=a/b", "bridge" },
		{ "mtu=67", "mtu" },
		{ "mtu=65522", "mtu" },
		{ "mtu=1e3", "mtu" },
		{ "mtu=-1", "mtu" },
		{ "mtu=99999999999999999999", "mtu" },
		{ "devid=256", "devid" },
		{ "rate=fast", "rate=" },
		{ "rate=", "rate=" },
		{ "rate=10", "rate=" },
		{ "rate=0Mb/s", "rate=" },
		{ "rate=10Mb/s@", "rate=" },
		{ "type=ioemu", "emulated" },
		{ "script=vif-route", "script" },
		{ "backend=driver", "Domain-0" },
		{ "bridge=br0,", "key=value" },
		{ ",bridge=br0", "key=value" },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct vif_spec vif;
		char why[200] = "";

		assert_int_not_equal(vif_spec_parse(&vif, cases[i].text, why, sizeof(why)), 0);
		assert_non_null(strstr(why, cases[i].word));
	}
}

static void random_mac_is_unicast_and_xens(void **state)
{
	uint8_t mac[6], other[6];

	assert_int_equal(vif_spec_random_mac(mac), 0);
	assert_int_equal(vif_spec_random_mac(other), 0);
	assert_memory_equal(mac, "\x00\x16\x3e", 3);
	assert_true(mac[3] < 0x80);
	/* 23 random bits each: equal once in eight million runs. */
	assert_memory_not_equal(mac, other, 6);
}

/* ---- keys ----------------------------------------------------------------------------------------------------------- */

static void keys_are_found_outside_strings_comments_and_lists(void **state)
{
	const char *text = "name = \"a = b\" # c = d\n  vif=[ 'e=f', \"g=h\" ]; memory=4\nextra += 'it\\'s = x'\n_odd1 = 3\n";
	static const char *const want[] = { "name", "vif", "memory", "extra", "_odd1" };
	char key[64];

	for (size_t i = 0; i < sizeof(want) / sizeof(want[0]); i++)
		assert_string_equal(config_keys_next(&text, key, sizeof(key)), want[i]);
	assert_null(config_keys_next(&text, key, sizeof(key)));
	assert_null(config_keys_next(&text, key, sizeof(key)));
}

/* ---- the whole file ------------------------------------------------------------------------------------------------- */

#define GOOD "name=\"a\"\nmemory=16\nkernel=\"/bin/true\"\n"

static void good_config_gives_a_domain(void **state)
{
	const char *text = GOOD "vcpus=2\nuuid=\"01234567-89ab-cdef-0123-456789ABCDEF\"\nextra=\"one two\"\n"
				"vif=['mac=00:16:3e:00:00:01,bridge=br0', '']\n"
				"disk=['/tmp/a.img,raw,xvda,w', 'format=raw, vdev=xvdb, access=ro, target=/tmp/b.img']\n"
				"on_crash=\"destroy\"\ntype=\"pvh\"\n";
	struct domain_config c;
	char *why, *warnings;

	assert_int_equal(domain_config_parse(&c, "t.cfg", text, &why, &warnings), 0);
	assert_null(why);
	assert_string_equal(warnings, "");
	assert_string_equal(c.name, "a");
	assert_int_equal(c.memory_kib, 16384);
	assert_int_equal(c.vcpus, 2);
	assert_memory_equal(c.uuid, "\x01\x23\x45\x67\x89\xab\xcd\xef\x01\x23\x45\x67\x89\xab\xcd\xef", 16);
	assert_string_equal(c.cmdline, "one two");
	assert_int_equal(c.nr_vifs, 2);
	assert_int_equal(c.vifs[1].devid, 1);
	assert_int_equal(c.nr_disks, 2);
	assert_string_equal(c.disks[0].target, "/tmp/a.img");
	assert_true(c.disks[0].writable);
	assert_int_equal(c.disks[1].number, 51728);
	assert_false(c.disks[1].writable);
	domain_config_finish(&c);
	free(why);
	free(warnings);
}

static void later_lines_override(void **state)
{
	struct domain_config c;
	char *why, *warnings;

	assert_int_equal(domain_config_parse(&c, "t.cfg", GOOD "name=\"b\"\nmemory=32", &why, &warnings), 0);
	assert_string_equal(c.name, "b");
	assert_int_equal(c.memory_kib, 32768);
	domain_config_finish(&c);
	free(why);
	free(warnings);
}

static void unknown_key_is_warned_about(void **state)
{
	struct domain_config c;
	char *why, *warnings;

	assert_int_equal(domain_config_parse(&c, "t.cfg", GOOD "memroy=3", &why, &warnings), 0);
	assert_non_null(strstr(warnings, "memroy"));
	domain_config_finish(&c);
	free(why);
	free(warnings);
}

static void config_mistakes_are_one_sentence_that_names_them(void **state)
{
	static const struct {
		const char *text, *word;
	} cases[] = {
		{ "memory=16\nkernel=\"/k\"", "name" },
		{ "name=\"\"\nmemory=16\nkernel=\"/k\"", "name" },
		{ GOOD "name=\"12\"", "id" },
		{ GOOD "name=\"a/b\"", "slash" },
		{ GOOD "name=\"0123456789012345678901234567890123456789012345678901234567890123\"", "63" },
		{ GOOD "name=['a']", "name=" },
		{ "name=\"a\"\nkernel=\"/k\"", "memory" },
		{ GOOD "memory=3", "at least 4 MiB" },
		{ GOOD "memory='-5'", "memory=-5" },
		{ GOOD "memory='lots'", "memory=lots" },
		{ GOOD "memory=99999999999999999999", "memory=" },
		{ GOOD "maxmem=32", "balloon" },
		{ GOOD "vcpus=0", "vcpus=0" },
		{ GOOD "vcpus=33", "vcpus=33" },
		{ GOOD "uuid=\"123\"", "uuid" },
		{ "name=\"a\"\nmemory=16", "kernel=" },
		{ "name=\"a\"\nmemory=16\nkernel=\"\"\nextra=\"x\"", "names no program" },
		{ GOOD "type=\"hvm\"", "type=" },
		{ GOOD "on_reboot=\"restart\"", "on_reboot" },
		{ GOOD "pci=['00:01.0']", "pci=" },
		{ GOOD "ramdisk=\"/r\"", "ramdisk=" },
		{ GOOD "vif='bridge=br0'", "vif= must be a list" },
		{ GOOD "vif=['rate=fast']", "rate=" },
		{ GOOD "vif=['mac=00:16:3e:00:00:01','mac=00:16:3e:00:00:01']", "vif 1" },
		{ GOOD "vif=['devid=1','']", "devid 1" },
		{ GOOD "disk=['/a,raw,xvda,w','/b,raw,51712,w']", "in use" },
		{ GOOD "disk=['/a,raw,xyz,w']", "vdev" },
		{ GOOD "disk=['/a,qcow2,xvda,w']", "qcow2" },
		{ GOOD "disk=['/a,zzz,xvda,w']", "zzz" },
		{ GOOD "disk=['/a,raw,xvda,q']", "access" },
		{ GOOD "disk=['format=raw,vdev=xvda,access=rw']", "target" },
		{ GOOD "disk=['format=raw,access=rw,target=/a']", "vdev" },
		{ GOOD "disk=['/a,raw,xvda:cdrom,r']", "CD-ROM" },
		{ GOOD "disk=['backendtype=qdisk,format=raw,vdev=xvda,access=rw,target=/a']", "backendtype" },
		{ GOOD "disk=['script=block-x,vdev=xvda,target=/a']", "script=" },
		{ GOOD "name=\"open", "4" },
		{ GOOD "= 3", "4" },
		{ "name", "unexpected" },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct domain_config c;
		char *why, *warnings;

		assert_int_not_equal(domain_config_parse(&c, "t.cfg", cases[i].text, &why, &warnings), 0);
		assert_non_null(why);
		if (strncmp(why, "t.cfg: ", 7) || !strstr(why, cases[i].word) || strchr(why, '\n'))
			fail_msg("'%s' gives '%s' without '%s'", cases[i].text, why, cases[i].word);
		assert_null(c.name); /* nothing is left in it */
		free(why);
		free(warnings);
	}
}

static void host_mistakes_are_named(void **state)
{
	static const struct {
		const char *text, *word;
	} cases[] = {
		{ GOOD "kernel=\"/nonexistent/k\"", "/nonexistent/k: No such file" },
		{ GOOD "kernel=\"/etc/passwd\"", "not executable" },
		{ GOOD "kernel=\"/etc\"", "not a file" },
		{ GOOD "disk=['/nonexistent/i,raw,xvda,w']", "/nonexistent/i: No such file" },
		{ GOOD "disk=['/dev/null,raw,xvda,w']", "neither a file nor a block device" },
		{ GOOD "disk=['/etc,raw,xvda,r']", "neither a file nor a block device" },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct domain_config c;
		char *why = NULL;

		assert_int_equal(domain_config_parse(&c, "t.cfg", cases[i].text, &why, NULL), 0);
		assert_int_not_equal(domain_config_resolve(&c, &why), 0);
		if (!why || !strstr(why, cases[i].word))
			fail_msg("'%s' gives '%s' without '%s'", cases[i].text, why ? why : "nothing", cases[i].word);
		free(why);
		domain_config_finish(&c);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(vdev_names_have_xens_numbers),
		cmocka_unit_test(vdev_nonsense_is_refused),
		cmocka_unit_test(vif_strings_give_their_settings),
		cmocka_unit_test(vif_mistakes_are_named),
		cmocka_unit_test(random_mac_is_unicast_and_xens),
		cmocka_unit_test(keys_are_found_outside_strings_comments_and_lists),
		cmocka_unit_test(good_config_gives_a_domain),
		cmocka_unit_test(later_lines_override),
		cmocka_unit_test(unknown_key_is_warned_about),
		cmocka_unit_test(config_mistakes_are_one_sentence_that_names_them),
		cmocka_unit_test(host_mistakes_are_named),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
