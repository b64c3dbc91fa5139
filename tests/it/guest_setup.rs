//! What a guest records by itself: logins as built, and what `recctrlu-setup` sets up and removes.

use std::io::Write;
use std::process::Stdio;
use testkit::debian::{Machine, debian, warm_debian};
use testkit::machine::{Plugin, lab};

#[test]
fn a_login_over_ssh_is_one_verified_trace_cold_and_warm() {
    for (guest, options) in [
        (debian(), &["--sessions", "--nrec", "1", "--cold"][..]),
        (warm_debian(), &["--sessions", "--nrec", "1"]),
    ] {
        let mut machine = Machine::start(guest, options);
        assert!(machine.banner().contains("OpenSSH"));
        let said = machine.interactive("panda", "echo $((6 * 7)) > answer; cat answer\nexit\n");
        assert!(said.contains("42"), "{said}");
        let delta = machine.traced(&["panda_session"]);
        assert!(delta <= 1_000_000, "{options:?}: the overlay has {delta} bytes");
    }
}

#[test]
fn the_users_to_record_can_be_chosen_and_the_setup_removed() {
    let mut machine = Machine::start(warm_debian(), &["--sessions", "--nrec", "4"]);
    assert_eq!(machine.run("root", "recctrlu-setup list"), "pam sshd\n");
    assert_eq!(machine.recorded(1), ["root_session"]);
    machine.run("root", "recctrlu-setup pam --users ann,panda; recctrlu-setup pam --users ann,panda");
    assert_eq!(machine.recorded(1), ["root_session"]);

    assert_eq!(machine.run("root", "recctrlu-setup list"), "pam --users ann,panda sshd\n");
    machine.run("panda", "true");
    assert_eq!(machine.recorded(1), ["panda_session"]);

    let original = "grep -v recctrlu /etc/pam.d/sshd | cmp - /etc/pam.d/sshd && recctrlu-setup list";
    assert_eq!(machine.run("root", &format!("recctrlu-setup remove pam && {original}")), "");
    machine.run("panda", "true");
    machine.run("root", "recctrlu-setup pam");
    machine.run("panda", "true");
    machine.traced(&["root_session_000", "root_session_001", "panda_session_002", "panda_session_003"]);
}

#[test]
fn a_user_who_forges_pam_variables_is_recorded_under_their_real_name() {
    let mut machine = Machine::start(warm_debian(), &["--sessions", "--nrec", "2"]);
    // Some distributions configure PAM like this.
    machine.run(
        "root",
        "sed -i '1i session required pam_env.so user_readenv=1' /etc/pam.d/sshd
        recctrlu-setup pam --users panda
        printf '%s\\n' 'PAM_USER DEFAULT=root' 'PAM_TYPE DEFAULT=auth' 'SEEN DEFAULT=yes' \\
            >/home/panda/.pam_environment",
    );
    assert_eq!(machine.recorded(1), ["root_session"]);
    assert_eq!(machine.run("panda", "echo $SEEN"), "yes\n", "the file is not read in this guest");
    assert_eq!(machine.recorded(1), ["panda_session"]);
}

/// Creates what can be set up, and records the state of the files.
const OWN: &str = r#"
cat >/etc/systemd/system/demo.service <<END
[Service]
ExecStart=/bin/sleep 1000
END
cat >/etc/init.d/early <<'END'
#! /bin/sh -e
### BEGIN INIT INFO
# Provides: early
# Default-Start: 2
# Default-Stop:
### END INIT INFO
[ -z "${RECCTRLU_RC-}" ]
case $1 in
start) [ ! -e /fails ]; start-stop-daemon -S -b -m -p /run/early.pid -x /bin/sleep 1000 ;;
stop) start-stop-daemon -K -q -p /run/early.pid ;;
restart) "$0" stop; "$0" start ;;
esac
END
chmod 755 /etc/init.d/early
systemctl daemon-reload
printf '%s\n' '# jobs' 'HOME=/tmp' '* * * * * cat >wanted%a\tb' '* * * * * echo $SHELL >other' \
    'SHELL=/bin/sh;touch${IFS}/tmp/owned' '0 0 1 1 * odd' |
    crontab -u panda -
cat >/files <<'END'
cd /etc; stat -c '%n %a %U %G' passwd shells init.d/* pam.d/* cron.d/*; cat passwd shells init.d/early pam.d/sshd
find systemd /usr/local /run/recctrlu -type f; crontab -u panda -l
END
mkdir -p /run/recctrlu
sh /files >/before
"#;

#[test]
fn services_are_recorded_from_start_to_stop_until_removed() {
    let mut machine = Machine::start(warm_debian(), &[]);
    machine.run("root", OWN);

    // However the service ends, and only its own recording.
    machine.run("root", "recctrlu-setup service demo && systemctl start demo && systemctl stop demo.service");
    assert_eq!(machine.recorded(1), ["demo"]);
    machine.run("root", "systemctl start demo && systemctl kill -s KILL demo");
    assert_eq!(machine.recorded(1), ["demo"]);
    let during = "systemctl start demo && systemctl stop demo && recctrlu status";
    let status = machine.run("root", &format!("recctrlu start mine && {during} && recctrlu stop"));
    assert!(status.contains("recording: yes"), "{status}");
    assert_eq!(machine.recorded(1), ["mine"]);
    // Removing the setup of a running service ends its recording.
    machine.run("root", "systemctl start demo && recctrlu-setup remove service demo");
    assert_eq!(machine.recorded(1), ["demo"]);
    let status = machine.run("root", "systemctl is-active demo; systemctl restart demo; recctrlu status");
    assert!(status.starts_with("active\nrecording: no\n"), "{status}");

    machine.run("root", "recctrlu-setup rc early && /etc/init.d/early start && /etc/init.d/early stop");
    assert_eq!(machine.recorded(1), ["early"]);
    let restarted = "/etc/init.d/early start && /etc/init.d/early restart && /etc/init.d/early stop";
    machine.run("root", restarted);
    assert_eq!(machine.recorded(2), ["early", "early"]);
    machine.run("root", "systemctl start early && systemctl stop early");
    assert_eq!(machine.recorded(1), ["early"]);
    machine.run("root", "touch /fails; ! /etc/init.d/early start && rm /fails");
    assert_eq!(machine.recorded(1), ["early"]);
    let status = "recctrlu-setup list; /etc/init.d/early start; recctrlu status; /etc/init.d/early stop";
    let status = machine.run("root", &format!("recctrlu-setup rc --start early && {status}"));
    assert!(status.starts_with("pam sshd\nrc --start early\nrecording: no\n"), "{status}");
    assert_eq!(machine.recorded(1), ["early"]);
    machine.run("root", &format!("recctrlu-setup remove rc --start early && {restarted}"));

    assert_eq!(machine.run("root", "sh /files | diff /before -"), "");
    machine.power_off();
    let early = ["early_004", "early_005", "early_006", "early_007", "early_008", "early_009"];
    machine.traced(&[&["demo_000", "demo_001", "mine_002", "demo_003"][..], &early].concat());
}

/// Makes cron run its jobs soon, and waits for both.
const JOBS: &str = "cd /tmp; date -s \"$(date +%H:%M):58\" >/dev/null; systemctl start cron
    for wait in $(seq 700); do [ ! -s wanted ] || [ ! -s other ] || break; sleep 0.1; done
    systemctl stop cron; cat wanted other; rm wanted other";

#[test]
fn shells_and_jobs_are_recorded_until_removed() {
    let mut machine = Machine::start(warm_debian(), &[]);
    machine.run("root", OWN);
    // Sessions are not counted in this run.
    machine.run("panda", "true");

    // As programs do that change the file directly.
    let locked = "cp /etc/passwd /tmp; printf $$ >/etc/passwd.lock
        recctrlu-setup shell panda 2>/dev/null; echo $?
        rm /etc/passwd.lock; cmp /tmp/passwd /etc/passwd && recctrlu-setup list";
    assert_eq!(machine.run("root", locked), "1\npam sshd\n");

    machine.run("root", "recctrlu-setup shell panda && recctrlu-setup shell panda");
    assert_eq!(machine.run("panda", "echo $SHELL $0"), "/bin/bash /bin/bash\n");
    assert_eq!(machine.recorded(1), ["panda_shell"]);
    let seen = machine.interactive("panda", "shopt login_shell\nexit\n");
    assert!(seen.contains("login_shell    \ton"), "{seen}");
    assert_eq!(machine.recorded(1), ["panda_shell"]);
    // A broken connection ends the command it ran.
    let mut cut =
        machine.ssh("panda", &["-tt"], "").stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
    cut.stdin.as_mut().unwrap().write_all(b"sleep 1000\n").unwrap();
    machine.run("root", "until pgrep -u panda sleep >/dev/null; do sleep 0.1; done");
    cut.kill().unwrap();
    cut.wait().unwrap();
    assert_eq!(machine.recorded(1), ["panda_shell"]);
    machine.run("root", "recctrlu start mine");
    machine.run("panda", "true");
    machine.run("root", "recctrlu stop");
    assert_eq!(machine.recorded(1), ["mine"]);
    machine.run("root", "recctrlu-setup remove shell panda");
    machine.run("panda", "true");

    machine.run("root", "recctrlu-setup cron panda wanted && recctrlu-setup cron panda wanted");
    assert_eq!(machine.run("root", JOBS), "a\\tb\n/bin/sh\n");
    assert_eq!(machine.recorded(1), ["wanted"]);
    machine.run("root", "recctrlu-setup remove cron panda wanted");
    assert_eq!(machine.run("root", JOBS), "a\\tb\n/bin/sh\n");
    assert_eq!(machine.run("root", "sh /files | diff /before -"), "");

    for (arguments, complaint) in [
        ("pam nosuch", "PAM has no service \"nosuch\""),
        ("shell nobody2", "/etc/passwd has no user \"nobody2\""),
        ("service nosuch", "systemd has no service \"nosuch\""),
        ("cron panda nosuch", "no job of panda has \"nosuch\" in its line"),
        ("cron panda t", "several jobs of panda have \"t\" in their lines"),
        ("cron ann job", "the user \"ann\" has no crontab"),
        ("rc nosuch", "there is no /etc/init.d/nosuch"),
        ("shell ../x", "\"../x\" is not a valid name; see `recctrlu-setup help`"),
        ("cron panda odd", "cannot be set up: it must be a plain path"),
        ("remove shell panda", "the shell of \"panda\" is not set up"),
    ] {
        let said = machine.fail("root", &format!("recctrlu-setup {arguments}"));
        assert!(said.contains(complaint), "{arguments}: {said}");
    }

    let all =
        "recctrlu-setup cron panda wanted && recctrlu-setup shell panda && recctrlu-setup service demo &&
        recctrlu-setup rc early && recctrlu-setup pam --users panda && recctrlu-setup list && \
        recctrlu-setup remove all && recctrlu-setup list";
    let list = "pam --users panda sshd\nshell panda\nservice demo\ncron panda wanted\nrc early\n";
    assert_eq!(machine.run("root", all), list);
    assert_eq!(machine.run("root", "recctrlu-setup pam && sh /files | diff /before -"), "");
    machine.power_off();
    machine.traced(&["panda_shell_000", "panda_shell_001", "panda_shell_002", "mine_003", "wanted_004"]);
}

/// Sets up everything that works without systemd, uses it, and removes it.
const SMALL: &str = r#"
mkdir -p /etc/pam.d /etc/init.d /var/spool/cron/crontabs
echo 'root:x:0:0:root:/root:/bin/sh' >/etc/passwd
echo 'session required pam_unix.so' >/etc/pam.d/login
printf '%s\n' '#!/bin/sh' 'echo "early $1"' >/etc/init.d/early
chmod 755 /etc/init.d/early
echo '0 0 * * * echo job' | crontab -
cp -a /etc /var /tmp

# As busybox does while it changes the file.
: >/etc/passwd+
recctrlu-setup shell root 2>/dev/null && echo 'changed without the lock'
rm /etc/passwd+
cmp /tmp/etc/passwd /etc/passwd

for what in 'pam --users ann login' 'shell root' 'cron root job' 'rc early'; do recctrlu-setup $what; done
recctrlu-setup list
$(sed -n 's/^root:.*://p' /etc/passwd) -c 'echo "in $SHELL"'
$(crontab -l | sed -n 's/^SHELL=//p' | head -n 1) -c 'echo "job of $SHELL"'
/etc/init.d/early start
/etc/init.d/early stop

recctrlu-setup remove all
recctrlu-setup list
find /usr/local/lib -type f
diff -r /tmp/etc /etc && crontab -l | diff /tmp/var/spool/cron/crontabs/root - && echo 'as before'
"#;

#[test]
fn busybox_is_enough_and_without_recctrl_everything_still_runs() {
    let story = [
        "pam --users ann login",
        "shell root",
        "cron root job",
        "rc early",
        "in /bin/sh",
        "job of /bin/sh",
        "early start",
        "early stop",
        "as before",
    ];
    for (plugin, recordings) in
        [(Plugin::Ours, &["early_002", "job_001", "root_shell_000"][..]), (Plugin::Absent, &[])]
    {
        let run = lab().run(SMALL, plugin, "");
        let said: Vec<&str> = run.console.lines().take(story.len()).collect();
        assert_eq!(said, story, "{plugin:?}: {}", run.console);
        assert_eq!(run.recordings(), recordings);
    }
}
