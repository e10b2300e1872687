/* SPDX-License-Identifier: MIT */
/* Programs are files made here: ELF headers by hand, scripts, directories. */
#include "supervise/target.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "supervise/elffile.h"
#include "support/tap.h"

#if defined(__x86_64__)
#define NATIVE EM_X86_64
#else
#define NATIVE EM_AARCH64
#endif

static char directory[64];

static const char *place(const char *name)
{
	static char paths[4][PATH_MAX];
	static unsigned next;
	char *path = paths[next++ % 4];

	snprintf(path, PATH_MAX, "%s/%s", directory, name);
	return path;
}

static void put(const char *name, const void *data, size_t bytes, mode_t mode)
{
	int fd = open(place(name), O_WRONLY | O_CREAT | O_TRUNC, 0600);

	CHECK(fd >= 0 && write(fd, data, bytes) == (ssize_t)bytes);
	CHECK_EQ(fchmod(fd, mode), 0);
	close(fd);
}

static void put_text(const char *name, const char *text)
{
	put(name, text, strlen(text), 0755);
}

/* An ELF file of one program header and its contents. */
struct program {
	Elf64_Ehdr header;
	Elf64_Phdr segment[4];
	char contents[512];
};

static struct program program_new(unsigned type, unsigned machine)
{
	struct program p = {0};

	memcpy(p.header.e_ident, ELFMAG, SELFMAG);
	p.header.e_ident[EI_CLASS] = ELFCLASS64;
	p.header.e_ident[EI_DATA] = ELFDATA2LSB;
	p.header.e_type = (Elf64_Half)type;
	p.header.e_machine = (Elf64_Half)machine;
	p.header.e_phoff = offsetof(struct program, segment);
	p.header.e_phentsize = sizeof(Elf64_Phdr);
	return p;
}

static void program_add(struct program *p, unsigned type, size_t at, const void *data, size_t bytes)
{
	Elf64_Phdr *segment = &p->segment[p->header.e_phnum++];

	memcpy(p->contents + at, data, bytes);
	segment->p_type = type;
	segment->p_offset = segment->p_vaddr = offsetof(struct program, contents) + at;
	segment->p_filesz = bytes;
}

static void program_put(const struct program *p, const char *name)
{
	put(name, p, sizeof(*p), 0755);
}

static struct stele_target *examine(const char *name)
{
	static struct stele_target target;

	stele__target_examine(place(name), "", &target);
	return &target;
}

static void says(const char *name, enum stele_verdict verdict, const char *part)
{
	struct stele_target *target = examine(name);

	if (!CHECK_EQ(target->verdict, verdict) || !CHECK(strstr(target->sentence, part)))
		printf("# '%s' does not say '%s'\n", target->sentence, part);
}

static void target_finds_missing_and_useless_files(void)
{
	mkdir(place("dir"), 0755);
	put("data", "x", 1, 0644);
	says("nothing", STELE_TARGET_NOT_FOUND, "there is no program");
	says("dir", STELE_TARGET_NOT_EXECUTABLE, "is a directory");
	says("data", STELE_TARGET_NOT_EXECUTABLE, "not executable");
	says("data/below", STELE_TARGET_NOT_FOUND, "there is no program");
}

static void target_searches_path_as_exec_does(void)
{
	struct stele_target target;
	char search[PATH_MAX];

	mkdir(place("a"), 0755);
	mkdir(place("b"), 0755);
	put("a/tool", "x", 1, 0644); /* there, but not executable: the search goes on */
	put("b/tool", "x", 1, 0755);
	put("a/only", "x", 1, 0644);
	snprintf(search, sizeof(search), "/nonexistent:%s:%s", place("a"), place("b"));
	stele__target_examine("tool", search, &target);
	CHECK_STR(target.path, place("b/tool"));
	CHECK_EQ(target.verdict, STELE_TARGET_TRACEABLE);
	stele__target_examine("only", search, &target);
	CHECK_EQ(target.verdict, STELE_TARGET_NOT_EXECUTABLE);
	stele__target_examine("absent", search, &target);
	CHECK_EQ(target.verdict, STELE_TARGET_NOT_FOUND);
	stele__target_examine("", search, &target);
	CHECK_EQ(target.verdict, STELE_TARGET_NOT_FOUND);
	stele__target_examine("sh", NULL, &target);
	CHECK_EQ(target.verdict, STELE_TARGET_TRACEABLE);
}

static void target_follows_scripts(void)
{
	char text[PATH_MAX + 8];

	put_text("plain", "echo hello\n");
	CHECK_EQ(examine("plain")->verdict, STELE_TARGET_TRACEABLE);
	CHECK(examine("plain")->plain_text);
	put_text("shell", "#! /bin/sh -e\necho hello\n");
	CHECK_EQ(examine("shell")->verdict, STELE_TARGET_TRACEABLE);
	CHECK(!examine("shell")->plain_text);
	put_text("orphan", "#!/nonexistent/interpreter\n");
	says("orphan", STELE_TARGET_NOT_FOUND, "interpreter '/nonexistent/interpreter'");
	/* A circle ends; exec will say what is wrong with it. */
	snprintf(text, sizeof(text), "#!%s\n", place("circle"));
	put_text("circle", text);
	CHECK_EQ(examine("circle")->verdict, STELE_TARGET_TRACEABLE);
	put_text("empty", "");
	CHECK_EQ(examine("empty")->verdict, STELE_TARGET_TRACEABLE);
}

static void target_knows_static_programs(void)
{
	struct program p = program_new(ET_EXEC, NATIVE);
	char text[PATH_MAX + 8];

	program_put(&p, "static");
	says("static", STELE_TARGET_UNTRACEABLE, "statically linked");
	p.header.e_type = ET_DYN;
	program_put(&p, "static-pie");
	says("static-pie", STELE_TARGET_UNTRACEABLE, "statically linked");
	program_put(&p, "ld-linux-any.so.2");
	CHECK_EQ(examine("ld-linux-any.so.2")->verdict, STELE_TARGET_TRACEABLE);
	snprintf(text, sizeof(text), "#!%s\n", place("static"));
	put_text("static-script", text);
	says("static-script", STELE_TARGET_UNTRACEABLE, "/static' is statically linked");
}

static void target_knows_go_programs(void)
{
	static const struct {
		Elf64_Nhdr note;
		char name[4];
		char text[4];
	} note = {{4, 4, 4}, "Go\0", "abc"};
	struct program p = program_new(ET_EXEC, NATIVE);

	program_add(&p, PT_NOTE, 0, &note, sizeof(note));
	program_put(&p, "go");
	says("go", STELE_TARGET_UNTRACEABLE, "Go program");
}

static void target_knows_other_linkers(void)
{
	struct program p = program_new(ET_DYN, NATIVE);
	const char *musl = place("ld-musl-any.so.1");

	put_text("ld-musl-any.so.1", "x");
	program_add(&p, PT_INTERP, 0, musl, strlen(musl) + 1);
	program_put(&p, "musl");
	says("musl", STELE_TARGET_UNTRACEABLE, "linked against musl");
	unlink(musl);
	says("musl", STELE_TARGET_NOT_FOUND, "dynamic linker");
}

static void target_knows_other_machines(void)
{
	struct program p = program_new(ET_EXEC, EM_RISCV);

	program_put(&p, "riscv");
	says("riscv", STELE_TARGET_UNTRACEABLE, "another machine (RISC-V, 64 bits)");
	p = program_new(ET_EXEC, EM_386);
	p.header.e_ident[EI_CLASS] = ELFCLASS32;
	program_put(&p, "i386");
	says("i386", STELE_TARGET_UNTRACEABLE, "another machine (i386, 32 bits)");
}

static void target_knows_setuid_programs(void)
{
	if (geteuid() != 0)
		SKIP("only root may give files away");
	put("setuid", "x", 1, 0755);
	CHECK_EQ(chown(place("setuid"), 12345, 12345), 0);
	CHECK_EQ(chmod(place("setuid"), 04755), 0);
	says("setuid", STELE_TARGET_UNTRACEABLE, "is setuid");
	CHECK_EQ(chmod(place("setuid"), 02755), 0);
	says("setuid", STELE_TARGET_UNTRACEABLE, "is setgid");
	CHECK_EQ(chown(place("setuid"), 0, 0), 0);
	CHECK_EQ(chmod(place("setuid"), 04755), 0);
	CHECK_EQ(examine("setuid")->verdict, STELE_TARGET_TRACEABLE);
}

static void elffile_reads_needed_and_build_id(void)
{
	static const struct {
		Elf64_Nhdr note;
		char name[4];
		uint8_t id[8];
	} note = {{4, 8, NT_GNU_BUILD_ID}, "GNU", {1, 2, 3, 4, 5, 6, 7, 8}};
	static const char names[] = "\0libc.so.6\0libasan.so.8";
	struct program p = program_new(ET_DYN, NATIVE);
	Elf64_Dyn dynamic[] = {
		{DT_NEEDED, {1}}, {DT_NEEDED, {11}}, {DT_STRTAB, {0}}, {DT_NULL, {0}}};
	struct stele_elffile elf;
	int fd;

	program_add(&p, PT_LOAD, 0, names, sizeof(names));
	dynamic[2].d_un.d_ptr = p.segment[0].p_vaddr;
	program_add(&p, PT_DYNAMIC, 64, dynamic, sizeof(dynamic));
	program_add(&p, PT_NOTE, 256, &note, sizeof(note));
	program_put(&p, "asan");
	fd = open(place("asan"), O_RDONLY);
	CHECK_EQ(stele__elffile_read(fd, &elf), 0);
	CHECK_STR(elf.sanitizer, "libasan.so.8");
	CHECK_BYTES(elf.build_id, elf.build_id_bytes, note.id, sizeof(note.id));
	close(fd);
}

/* Whatever the bytes are: an answer, and nothing read outside. */
static void elffile_survives_damage(void)
{
	static const Elf64_Nhdr note = {4, 8, NT_GNU_BUILD_ID};
	struct program whole = program_new(ET_DYN, NATIVE);
	unsigned seed = 1;

	program_add(&whole, PT_NOTE, 0, &note, sizeof(note));
	program_add(&whole, PT_DYNAMIC, 64, &note, sizeof(note));
	program_add(&whole, PT_INTERP, 128, "/x", 3);
	for (unsigned round = 0; round < 2000; round++) {
		struct program p = whole;
		struct stele_elffile elf;
		int fd;

		for (unsigned i = 0; i < 4; i++)
			((uint8_t *)&p)[16 + (unsigned)rand_r(&seed) % 400] =
				(uint8_t)rand_r(&seed);
		put("damaged", &p, round % 8 ? sizeof(p) : (unsigned)rand_r(&seed) % 200, 0755);
		fd = open(place("damaged"), O_RDONLY);
		if (!CHECK(stele__elffile_read(fd, &elf) <= 0))
			round = 2000;
		close(fd);
	}
}

static void target_begins(void)
{
	snprintf(directory, sizeof(directory), "/tmp/stele-target-XXXXXX");
	CHECK(mkdtemp(directory));
}

static void target_ends(void)
{
	char command[128];

	snprintf(command, sizeof(command), "rm -rf %s", directory);
	CHECK_EQ(system(command), 0);
}

TAP_MAIN(TEST(target_begins), TEST(target_finds_missing_and_useless_files),
	 TEST(target_searches_path_as_exec_does), TEST(target_follows_scripts),
	 TEST(target_knows_static_programs), TEST(target_knows_go_programs),
	 TEST(target_knows_other_linkers), TEST(target_knows_other_machines),
	 TEST(target_knows_setuid_programs), TEST(elffile_reads_needed_and_build_id),
	 TEST(elffile_survives_damage), TEST(target_ends))
