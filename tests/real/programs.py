# SPDX-License-Identifier: MIT
"""The real programs: what each is given to do, and what of it must not change under Stele.

Each is a function run(job) that starts its program through job.start or job.run and returns the
bytes of its results. Nothing in them may depend on time, process ids or the order of threads.
"""
import base64
import hashlib
import os
import pathlib
import random
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from concurrent.futures import ThreadPoolExecutor

MB = 1 << 20


def data(job, megabytes):
    """A file of this size, as compressible as text, the same each time."""
    path = job.shared / f"data-{megabytes}"
    if not path.exists():
        rng = random.Random(1)
        words = [bytes(rng.choices(b"abcdefghijklmnopqrstuvwxyz", k=rng.randint(2, 9)))
                 for _ in range(4096)]
        text = b"".join(b" ".join(rng.choices(words, k=12)) + b"\n" for _ in range(16384))
        with open(path, "wb") as out:
            while out.tell() < megabytes * MB:
                # Stretches of the text, and in between what is not to be found anywhere else.
                cut = rng.randrange(len(text) - 49152)
                out.write(text[cut:cut + 49152])
                out.write(base64.encodebytes(rng.randbytes(12288)))
            out.truncate(megabytes * MB)
    return str(path)


def sha256(path):
    digest = hashlib.sha256()
    with open(path, "rb") as f:
        while chunk := f.read(MB):
            digest.update(chunk)
    return digest.hexdigest().encode()


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def wait_for_port(port, server):
    for _ in range(200):
        if server.poll() is not None:
            raise AssertionError(f"the server ended with {server.returncode}")
        with socket.socket() as s:
            if s.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise AssertionError(f"nobody listens on port {port}")


def xz(job):
    out = job.directory / "out.xz"
    job.run(["xz", "-T2", "-0", "--block-size=2MiB", "-c", data(job, job.megabytes)], stdout=out)
    return sha256(out)


def zstd(job):
    out = job.directory / "out.zst"
    job.run(["zstd", "-q", "-T2", "-6", "-f", data(job, job.megabytes), "-o", str(out)])
    return sha256(out)


def python3(job):
    code = """
import hashlib, queue, sys, threading
todo, done = queue.Queue(), {}
def work():
    while (item := todo.get()) is not None:
        done[item] = hashlib.sha256(str(item).encode() * 1000).hexdigest()
threads = [threading.Thread(target=work, name=f'worker-{i}') for i in range(16)]
for t in threads: t.start()
for i in range(2000): todo.put(i)
for t in threads: todo.put(None)
for t in threads: t.join()
print(hashlib.sha256(repr(sorted(done.items())).encode()).hexdigest())
sys.exit(7)
"""
    return job.run(["/usr/bin/python3", "-c", code])


def sqlite3(job):
    script = """
PRAGMA threads=4; PRAGMA cache_size=-2000; PRAGMA temp_store=FILE;
CREATE TABLE t(a INTEGER PRIMARY KEY, b TEXT);
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n WHERE i < 300000)
INSERT INTO t SELECT i, hex((i * 2654435761) % 4294967296) || 'abcdefghijklmnopqrst' FROM n;
CREATE INDEX tb ON t(b);
SELECT count(*), min(b), max(b) FROM t;
SELECT a FROM t ORDER BY b DESC LIMIT 20;
PRAGMA integrity_check;
"""
    database = job.directory / "real.db"
    database.unlink(missing_ok=True)
    return job.run(["sqlite3", str(database)], stdin=script.encode())


def sort(job):
    out = job.directory / "sorted"
    job.run(["sort", "--parallel=4", "-S", "256M", "-o", str(out), data(job, 2 * job.megabytes)],
            env={"LC_ALL": "C"})
    return sha256(out)


def cxx(job):
    return job.run([str(job.build / "tests" / "real" / "threads"), "64"])


def throws(job):
    return job.run([str(job.build / "tests" / "real" / "throws")])


def gcc(job):
    """The compiler proper: gcc itself only starts it."""
    source, out = job.shared / "large.c", job.directory / "large.s"
    if not source.exists():
        functions = 300 if job.megabytes > 8 else 40
        source.write_text("\n".join(
            f"""struct s{i} {{ int a[{i % 7 + 1}]; struct s{i} *next; }};
int f{i}(struct s{i} *p, int n) {{
    int sum = {i};
    for (int k = 0; k < n; k++)
        for (struct s{i} *q = p; q; q = q->next)
            switch ((q->a[0] + k) % 5) {{
            case 0: sum += q->a[{i % 7}] * {i + 3}; break;
            case 1: sum ^= q->a[0] << 3; break;
            case 2: if (sum > n) sum = f{max(i - 1, 0)}((void *)q, k); break;
            default: sum--; }}
    return sum;
}}""" for i in range(functions)))
    compiler = subprocess.check_output(["gcc", "-print-prog-name=cc1"], text=True).strip()
    job.run([compiler, "-quiet", "-w", "-O2", "-dumpbase", "large.c", str(source), "-o", str(out)])
    return out.read_bytes()


def perl(job):
    return job.run(["perl", "-e", """
my %words; my $text = 'the quick brown fox jumps over the lazy dog ' x 2000;
for my $round (1 .. 20) { $words{"$_$round"}++ for split / /, $text; }
print join(',', map { "$_=$words{$_}" } sort keys %words), "\n"; exit 3;
"""])


def lua(job):
    return job.run(["lua5.4", "-e", """
local all = {}
for i = 1, 300000 do
    local item = { name = "item" .. i, tags = { i % 7, i % 11, tostring(i) } }
    all[i % 5000 + 1] = item
end
local sum = 0
for i, item in ipairs(all) do sum = sum + #item.name * item.tags[1] end
print(sum) os.exit(4, true)
"""])


def initdb(job):
    """Started as root, PostgreSQL refuses; what it does itself is recorded, not its servers."""
    directory = job.directory / "cluster"
    shutil.rmtree(directory, ignore_errors=True)
    for path in (*job.directory.parents[:2], job.shared):
        path.chmod(0o755)
    job.directory.chmod(0o777)
    programs = sorted(pathlib.Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    if not programs:
        raise FileNotFoundError("PostgreSQL's initdb")
    job.run([str(programs[-1]), "-D", str(directory), "-U", "real", "-A", "trust", "-N",
             "--no-locale", "-E", "UTF8"], user="nobody" if os.geteuid() == 0 else None)
    return "\n".join(sorted(str(p.relative_to(directory))
                            for p in directory.rglob("*"))).encode()


def git(job):
    tree = job.shared / "tree"
    if not tree.exists():
        tree.mkdir()
        text = pathlib.Path(data(job, 8)).read_bytes()
        for i in range(400):
            (tree / f"file{i}").write_bytes(text[i * 20000:(i + 1) * 20000])
        for command in (["init", "-q"], ["add", "."]):
            subprocess.check_call(["git", "-C", tree, *command])
    found = job.run(["git", "-C", str(tree), "grep", "--threads=8", "-c", "-i", "ab[cde]"])
    return found


def redis(job):
    port = free_port()
    server = job.start(["redis-server", "--port", str(port), "--bind", "127.0.0.1", "--save", "",
                        "--io-threads", "2",
                        "--dir", str(job.directory), "--logfile", str(job.directory / "log")])
    client = ["redis-cli", "-p", str(port)]
    try:
        wait_for_port(port, server)
        subprocess.run(["redis-benchmark", "-q", "-p", str(port), "-n", str(job.requests), "-c",
                        "20", "-P", "4", "-t", "incr,lpush,set"], check=True,
                       capture_output=True)
        results = [subprocess.run(client + query, check=True, capture_output=True).stdout
                   for query in (["GET", "counter:__rand_int__"], ["LLEN", "mylist"], ["DBSIZE"])]
    finally:
        subprocess.run(client + ["SHUTDOWN", "NOSAVE"], capture_output=True, check=False)
    job.finish(server)
    return b"".join(results)


NGINX = """
daemon off; master_process off; worker_processes 1; pid {dir}/pid; error_log {dir}/error.log;
thread_pool default threads=16 max_queue=4096;
events {{ worker_connections 256; }}
http {{
    access_log off; aio threads; sendfile off; output_buffers 2 64k; directio 1m;
    client_body_temp_path {dir}/a; proxy_temp_path {dir}/b; fastcgi_temp_path {dir}/c;
    uwsgi_temp_path {dir}/d; scgi_temp_path {dir}/e;
    server {{ listen 127.0.0.1:{port}; root {root}; }}
}}
"""


def nginx(job):
    port = free_port()
    root = job.shared / "www"
    if not root.exists():
        root.mkdir()
        for i in range(40):
            shutil.copyfile(data(job, 8), root / f"file{i}")
            os.truncate(root / f"file{i}", (i + 1) * 40000)
    # Debian's nginx drops to www-data when started as root.
    for path in (job.shared, root, job.directory):
        path.chmod(0o755)
    config = job.directory / "nginx.conf"
    user = "user root;\n" if os.geteuid() == 0 else ""
    config.write_text(user + NGINX.format(dir=job.directory, port=port, root=root))
    server = job.start(["nginx", "-c", str(config), "-e", str(job.directory / "error.log")])

    def fetch(i):
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/file{i % 40}", timeout=30) as reply:
            return hashlib.sha256(reply.read()).hexdigest().encode()

    try:
        wait_for_port(port, server)
        with ThreadPoolExecutor(8) as pool:
            results = list(pool.map(fetch, range(job.requests // 100)))
    finally:
        # To the program itself, whoever stands between it and us.
        os.kill(int((job.directory / "pid").read_text()), signal.SIGQUIT)
    job.finish(server)
    return b"\n".join(results)


# Runtimes with threads, stacks and signals of their own.

NODE = """
const crypto = require('crypto'), fs = require('fs');
const {Worker, isMainThread, parentPort} = require('worker_threads');
if (isMainThread) {
  const out = [];
  for (let i = 0; i < 3; i++) {
    const worker = new Worker(__filename);
    worker.on('message', m => {
      out.push(m);
      if (out.length < 3) return;
      fs.writeFileSync('out', out.sort().join());
      fs.readFile('out', (error, text) => crypto.pbkdf2('a', text, 20000, 32, 'sha256',
        (error, key) => console.log(text.length, key.toString('hex'))));
    });
    worker.postMessage(i);
  }
} else {
  parentPort.on('message', i => {
    let hash = 'x' + i;
    for (let k = 0; k < 20000; k++) hash = crypto.createHash('sha1').update(hash).digest('hex');
    parentPort.postMessage(hash);
    process.exit();
  });
}
"""


def node(job):
    (job.directory / "work.js").write_text(NODE)
    return job.run(["node", "work.js"], cwd=job.directory)


JVM = """
import java.util.*;
import java.util.concurrent.*;
public class Work {
  public static void main(String[] arguments) throws Exception {
    ExecutorService pool = Executors.newFixedThreadPool(4);
    List<Future<Long>> results = new ArrayList<>();
    for (long i = 0; i < 8; i++) {
      final long seed = i;
      results.add(pool.submit(() -> {
        long sum = seed;
        for (int k = 0; k < 3000000; k++) sum = sum * 31 + k;
        synchronized (Work.class) { return sum; }
      }));
    }
    long total = 0;
    for (Future<Long> result : results) total ^= result.get();
    pool.shutdown();
    byte[][] garbage = new byte[200][];
    for (int i = 0; i < 20000; i++) garbage[i % 200] = new byte[10000];
    try { Object nothing = null; nothing.hashCode(); } catch (NullPointerException e) { total++; }
    System.out.println(total);
    System.exit(3);
  }
}
"""


def jvm(job):
    (job.directory / "Work.java").write_text(JVM)
    return job.run(["java", "Work.java"], cwd=job.directory)


def multiprocessing(job):
    code = """
import multiprocessing, hashlib
def work(n): return hashlib.sha256(str(n).encode() * 50000).hexdigest()
with multiprocessing.Pool(3) as pool:
    print(hashlib.sha256(repr(pool.map(work, range(200))).encode()).hexdigest())
"""
    return job.run(["/usr/bin/python3", "-c", code])


CGO = """
package main
/*
#include <unistd.h>
static int add(int a, int b) { usleep(100); return a + b; }
*/
import "C"
import ("fmt"; "sync")
func main() {
	var done sync.WaitGroup
	var lock sync.Mutex
	sum := 0
	for i := 0; i < 8; i++ {
		done.Add(1)
		go func(i int) {
			defer done.Done()
			for k := 0; k < 200; k++ {
				got := int(C.add(C.int(i), C.int(k)))
				lock.Lock()
				sum += got
				lock.Unlock()
			}
		}(i)
	}
	done.Wait()
	fmt.Println(sum)
}
"""


def built(job, name, source, command):
    """A program compiled from this; not installed if the compiler cannot."""
    path, program = job.shared / source[0], job.shared / name
    if not program.exists():
        path.write_text(source[1])
        done = subprocess.run([*command, "-o", str(program), str(path)], capture_output=True,
                              cwd=job.shared, check=False,
                              env={**os.environ, "CGO_ENABLED": "1", "GOFLAGS": ""})
        if done.returncode:
            raise FileNotFoundError(f"what {command} needs: {done.stderr[-300:]!r}")
    return str(program)


def cgo(job):
    return job.run([built(job, "cgo", ("work.go", CGO),
                          [shutil.which("go") or "/usr/local/go/bin/go", "build"])])


ASAN = """
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static long total;
static void *work(void *unused) {
	for (int i = 1; i < 20000; i++) {
		char *p = malloc((size_t)i % 500 + 1);
		memset(p, i, (size_t)i % 500 + 1);
		pthread_mutex_lock(&lock);
		total += p[i % 500 / 2];
		pthread_mutex_unlock(&lock);
		free(p);
	}
	return unused;
}
int main(void) {
	pthread_t threads[4];
	for (int i = 0; i < 4; i++) pthread_create(&threads[i], NULL, work, NULL);
	for (int i = 0; i < 4; i++) pthread_join(threads[i], NULL);
	printf("%ld\\n", total);
	fflush(stdout);
	char *volatile p = malloc(10);
	free(p);
	return p[5];
}
"""


def asan(job):
    """Found out by the sanitizer, and ended by it."""
    return job.run([built(job, "asan", ("asan.c", ASAN),
                          ["gcc", "-g", "-fsanitize=address", "-static-libasan", "-pthread"])])


# What the report must know of it: a table, a member of its rows, and what one of them has in it.
ANSWERS = {redis: [("locks", "lock", "io_threads_mutex"), ("files", "name", "write 127.0.0.1:")],
           nginx: [("files", "name", "/www/file"), ("files", "name", "eventfd")]}

SMALL = [xz, python3, sort, cxx]
SMALL_HEAP = [python3, cxx, throws, gcc, perl, lua]
SMALL_UNWIND = [xz, python3, sort, throws, gcc, perl, lua]
ALL = [xz, zstd, python3, sqlite3, sort, redis, nginx, git, cxx, throws, gcc, perl, lua, initdb]
FOREIGN = [node, jvm, multiprocessing, cgo, asan]

if __name__ == "__main__":
    sys.exit("this is a table for real.py")
