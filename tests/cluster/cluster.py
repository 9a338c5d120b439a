"""A real Slurm on this machine: virtual nodes with make-believe GPUs, for the tests of `snakemake --profile slurm`.

    python tests/cluster/cluster.py install     Debian's packages
    python tests/cluster/cluster.py start       the daemons, with accounting; `--no-accounting` without
    python tests/cluster/cluster.py stop

Needs root. All that it writes is below FOLDER, except for the link LINK: the commands inside a job find the cluster
by it, for the plugin takes SLURM_CONF away from them. So there is one such cluster on a machine, and none where a
Slurm is configured already.
"""

import argparse
import os
import shutil
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

FOLDER = Path("/tmp/isheep-slurm")
LINK = Path("/etc/slurm/slurm.conf")
PACKAGES = ["slurmctld", "slurmd", "slurm-client", "munge", "slurmdbd", "mariadb-server"]
PROGRAMS = ["sbatch", "slurmctld", "slurmd", "munged", "slurmdbd", "mariadbd", "mariadb-install-db"]
CONTROLLER_PORT, ACCOUNTING_PORT, NODE_PORT = 26917, 26918, 26920
NODES = {"n1": 2, "n2": 2, "n3": 2}
"""The virtual nodes and the number of their GPUs."""
CPUS, MEMORY_MB = 2, 8000
"""What every node claims to have, whatever the machine has."""
PARTITION_MINUTES = 60
"""The time limit of the partition with the GPUs."""

CONFIGURATION = """\
ClusterName=tests
SlurmctldHost=localhost
SlurmctldPort={controller_port}
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge/socket
CredType=cred/munge
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool-%n
SlurmctldPidFile={folder}/pid/slurmctld
SlurmdPidFile={folder}/pid/%n
SlurmctldLogFile={folder}/log/slurmctld
SlurmdLogFile={folder}/log/%n
# Neither systemd nor cgroups: processes are found by their parents, and memory is looked at every second.
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/linux
JobAcctGatherFrequency=task=1
JobAcctGatherParams=OverMemoryKill
MpiDefault=none
# Nodes are what is written here, not what the machine is.
SlurmdParameters=config_overrides
ReturnToService=2
SchedulerParameters=sched_interval=1,bf_interval=1,batch_sched_delay=0,sched_min_interval=0
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
GresTypes=gpu
# A job of the partition `urgent` takes what it needs from jobs of the others.
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
KillWait=2
SlurmctldTimeout=60
SlurmdTimeout={node_timeout}
MailProg=/bin/true
PartitionName=cpu Nodes=ALL Default=YES MaxTime=INFINITE State=UP
PartitionName=gpu Nodes=ALL MaxTime={partition_minutes} PriorityTier=1 State=UP
PartitionName=urgent Nodes=ALL PriorityTier=2 State=UP
"""
ACCOUNTING = """\
AccountingStorageType=accounting_storage/slurmdbd
AccountingStorageHost=localhost
AccountingStoragePass={folder}/munge/socket
AccountingStoragePort={accounting_port}
AccountingStorageTRES=gres/gpu
"""
DATABASE_DAEMON = """\
AuthType=auth/munge
AuthInfo=socket={folder}/munge/socket
DbdHost=localhost
DbdPort={accounting_port}
SlurmUser=root
PidFile={folder}/pid/slurmdbd
LogFile={folder}/log/slurmdbd
StorageType=accounting_storage/mysql
StorageHost=localhost
StorageUser=root
StorageLoc=accounting
"""


class Cluster:
    """The daemons, each started by hand and stopped by the number in its pid file."""

    def __init__(self, accounting: bool = True, node_timeout: int = 10):
        self.accounting = accounting
        self.names = {
            "folder": FOLDER,
            "controller_port": CONTROLLER_PORT,
            "accounting_port": ACCOUNTING_PORT,
            "partition_minutes": PARTITION_MINUTES,
            "node_timeout": node_timeout,
        }

    def start(self) -> None:
        """Start everything, and return when all nodes are idle; on failure stop what was started."""
        if LINK.exists() and not LINK.is_symlink():
            sys.exit(f"{LINK} exists: this machine has a Slurm of its own, which is left alone")
        self.stop()
        shutil.rmtree(FOLDER, ignore_errors=True)
        try:
            self._configure()
            self._start_munge()
            if self.accounting:
                self._start_accounting()
            self.start_controller()
            for node in NODES:
                self.start_node(node)
            wait_for("the nodes to be idle", lambda: set(self.node_states().values()) == {"idle"})
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Cancel all jobs, and stop the daemons, the last started first."""
        if running("slurmctld"):
            ask("scancel", "--user=root", check=False)
            wait_for("the jobs to end", lambda: not ask("squeue", "--noheader", check=False).strip(), fail=False)
        for name in [*NODES, "slurmctld", "slurmdbd", "mariadbd", "munged"]:
            stop_daemon(name)
        if LINK.is_symlink() and Path(os.readlink(LINK)) == FOLDER / "etc/slurm.conf":
            LINK.unlink()

    def start_controller(self) -> None:
        """Start slurmctld, also again after stop_controller: it goes on with the jobs that it knew."""
        subprocess.run(["slurmctld", "-f", FOLDER / "etc/slurm.conf"], check=True)
        wait_for("slurmctld", lambda: "UP" in ask("scontrol", "ping", check=False))

    def stop_controller(self) -> None:
        """An outage: jobs run on, and no command gets an answer."""
        stop_daemon("slurmctld")

    def start_node(self, node: str) -> None:
        """Start a node's daemon."""
        (FOLDER / f"spool-{node}").mkdir(exist_ok=True)
        subprocess.run(["slurmd", "-f", FOLDER / "etc/slurm.conf", "-N", node], check=True)

    def kill_node(self, node: str) -> None:
        """A node that dies: its daemon and all processes of its jobs are gone at once."""
        daemon = int((FOLDER / "pid" / node).read_text())
        victims = [daemon, *descendants_of_jobs(node)]
        for pid in victims:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        (FOLDER / "pid" / node).unlink()

    def node_states(self) -> dict[str, str]:
        """The state of every node, such as idle, mix or down."""
        lines = ask("sinfo", "--noheader", "--Node", "--format=%N %t", check=False).splitlines()
        return dict(line.split() for line in lines)

    def _configure(self) -> None:
        for part in ("etc", "pid", "log", "state", "munge", "gpu"):
            (FOLDER / part).mkdir(parents=True)
        FOLDER.chmod(0o755)
        text = CONFIGURATION + (ACCOUNTING if self.accounting else "")
        devices = []
        for number, (node, gpus) in enumerate(NODES.items()):
            text += (
                f"NodeName={node} NodeHostname=localhost NodeAddr=127.0.0.1 Port={NODE_PORT + number} CPUs={CPUS} "
                f"CoresPerSocket={CPUS} RealMemory={MEMORY_MB} Gres=gpu:fake:{gpus} State=UNKNOWN\n"
            )
            devices.append(f"NodeName={node} Name=gpu Type=fake File={FOLDER}/gpu/gpu[0-{gpus - 1}]\n")
        for gpu in range(max(NODES.values())):
            # Slurm sets CUDA_VISIBLE_DEVICES only for device nodes; this one is /dev/null by another name.
            os.mknod(FOLDER / f"gpu/gpu{gpu}", stat.S_IFCHR | 0o666, os.makedev(1, 3))
        (FOLDER / "etc/slurm.conf").write_text(text.format(**self.names))
        (FOLDER / "etc/gres.conf").write_text("AutoDetect=off\n" + "".join(devices))
        LINK.parent.mkdir(exist_ok=True)
        LINK.unlink(missing_ok=True)
        LINK.symlink_to(FOLDER / "etc/slurm.conf")

    def _start_munge(self) -> None:
        """Under a key of its own, which only root may read."""
        key = FOLDER / "munge/key"
        key.touch(mode=0o600)
        key.write_bytes(os.urandom(128))
        files = {"key-file": key, "socket": FOLDER / "munge/socket", "seed-file": FOLDER / "munge/seed"}
        files |= {"pid-file": FOLDER / "pid/munged", "log-file": FOLDER / "log/munged"}
        subprocess.run(["munged", "--force", *(f"--{flag}={path}" for flag, path in files.items())], check=True)
        wait_for("munged", lambda: ask("munge", "--no-input", "--socket", FOLDER / "munge/socket", check=False))

    def _start_accounting(self) -> None:
        """MariaDB on a socket of its own, slurmdbd, and an account `tests`."""
        socket, data = FOLDER / "mariadb.socket", FOLDER / "mariadb"
        own = ["--no-defaults", "--user=root", f"--datadir={data}"]
        with open(FOLDER / "log/mariadb", "w") as log:
            install = ["mariadb-install-db", *own, "--skip-test-db", "--auth-root-authentication-method=socket"]
            subprocess.run(install, check=True, stdout=log, stderr=log)
            flags = ["--skip-networking", "--innodb-flush-log-at-trx-commit=0", "--innodb-lock-wait-timeout=900"]
            subprocess.Popen(
                ["mariadbd", *own, *flags, f"--socket={socket}", f"--pid-file={FOLDER}/pid/mariadbd"],
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
                start_new_session=True,
            )
        client = ["mariadb", "--no-defaults", f"--socket={socket}", "--execute"]
        wait_for("MariaDB", lambda: ask(*client, "select 1", check=False))
        ask(*client, "create database accounting")
        configuration = FOLDER / "etc/slurmdbd.conf"
        configuration.touch(mode=0o600)
        configuration.write_text(DATABASE_DAEMON.format(**self.names))
        # The daemon looks for its file beside the one that SLURM_CONF names.
        where = {"SLURM_CONF": str(FOLDER / "etc/slurm.conf"), "MYSQL_UNIX_PORT": str(socket)}
        subprocess.run(["slurmdbd"], check=True, env=os.environ | where)
        # Both succeed as soon as the daemon answers, and fail harmlessly where the cluster has registered itself.
        wait_for(
            "slurmdbd", lambda: "tests" in ask("sacctmgr", "-n", "show", "cluster", check=False) or self._register()
        )
        ask("sacctmgr", "--immediate", "add", "account", "tests", "Cluster=tests")
        ask("sacctmgr", "--immediate", "add", "user", "root", "Account=tests", "Cluster=tests")

    @staticmethod
    def _register() -> bool:
        ask("sacctmgr", "--immediate", "add", "cluster", "tests", check=False)
        return False


def ask(*command: str | Path, check: bool = True) -> str:
    """What a command prints; with `check`, fail with its message where it fails."""
    done = subprocess.run([*map(str, command)], capture_output=True, text=True, check=False, timeout=60)
    if check and done.returncode:
        raise RuntimeError(f"{command[0]} failed: {done.stdout}{done.stderr}")
    return done.stdout


def wait_for(what: str, happened: Callable[[], object], seconds: float = 60, fail: bool = True) -> None:
    """Look until it happened; after so many seconds raise RuntimeError, or with `fail` false go on."""
    end = time.monotonic() + seconds
    while not happened():
        if time.monotonic() > end:
            if fail:
                raise RuntimeError(f"waited {seconds:g} seconds in vain for {what}; logs: {FOLDER}/log")
            return
        time.sleep(0.1)


def running(name: str) -> int | None:
    """The process id of a daemon that runs. One that has ended, but that nobody has waited for yet, does not."""
    try:
        pid = int((FOLDER / "pid" / name).read_text())
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ValueError, ProcessLookupError):
        return None
    return None if state == "Z" else pid


def stop_daemon(name: str, seconds: float = 15) -> None:
    """Ask a daemon to end; one that does not is killed."""
    pid = running(name)
    if pid:
        os.kill(pid, signal.SIGTERM)
        wait_for(name, lambda: running(name) is None, seconds, fail=False)
        if running(name):
            os.kill(pid, signal.SIGKILL)
    (FOLDER / "pid" / name).unlink(missing_ok=True)


def descendants_of_jobs(node: str) -> list[int]:
    """The processes of all jobs on a node. A job's step is a daemon of its own, which names its node in its title."""
    parents, titles = {}, {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            parents[int(folder.name)] = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
            titles[int(folder.name)] = (folder / "cmdline").read_text().replace("\0", " ")
        except (FileNotFoundError, ProcessLookupError):
            continue
    jobs = {line.split()[0] for line in ask("squeue", "-h", "-w", node, "-o", "%A").splitlines()}
    found = [pid for pid, title in titles.items() if is_step_of(title, jobs)]
    for pid in found:
        found.extend(child for child, parent in parents.items() if parent == pid and child not in found)
    return found


def is_step_of(title: str, jobs: Sequence[str] | set[str]) -> bool:
    """Whether a process is Slurm's own for one of the jobs: `slurmstepd: [17.batch]`."""
    return title.startswith("slurmstepd: [") and title.removeprefix("slurmstepd: [").split(".")[0] in jobs


def missing() -> list[str]:
    """The programs that a cluster needs and that are not installed."""
    return [program for program in PROGRAMS if shutil.which(program) is None]


def install() -> None:
    """Install what is missing from Debian's packages, without starting the daemons that come with them. Where that
    cannot be, one line says so."""
    lacking = missing()
    if not lacking:
        return
    if os.getuid() or shutil.which("apt-get") is None:
        print(f"Slurm cannot be installed here, which takes root and apt-get; missing: {', '.join(lacking)}")
        return
    policy = Path("/usr/sbin/policy-rc.d")
    ours = not policy.exists()
    if ours:
        policy.write_text("#!/bin/sh\nexit 101\n")
        policy.chmod(0o755)
    try:
        environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
        for command in (["update"], ["install", "--yes", "--no-install-recommends", *PACKAGES]):
            done = subprocess.run(["apt-get", "-qq", *command], env=environment, capture_output=True, text=True)
            if done.returncode:
                print(f"Slurm could not be installed: apt-get {command[0]}: {done.stderr.strip().splitlines()[-1]}")
                return
    finally:
        if ours:
            policy.unlink()


def main(arguments: argparse.Namespace) -> None:
    """Do what is asked."""
    if arguments.what == "install":
        install()
    elif arguments.what == "start":
        Cluster(arguments.accounting).start()
    else:
        Cluster().stop()


parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("what", choices=["install", "start", "stop"])
parser.add_argument("--no-accounting", dest="accounting", action="store_false", help="start without a database")

if __name__ == "__main__":
    main(parser.parse_args())
