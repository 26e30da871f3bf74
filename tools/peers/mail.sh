#!/usr/bin/env bash
# A real IMAP and SMTP server on loopback, for tests: Debian's dovecot and OpenSMTPD.
#
#   tools/peers/mail.sh start | stop | status
#
# IMAP 1143 (STARTTLS), IMAPS 1993, SMTP 2525 (no sign-in), submission 2587 (STARTTLS, sign-in). Users care@brand.test,
# ana@cust.test and bob@cust.test, password hunter22; the certificate is in $home/cert.pem. Relays nothing. Needs the
# packages dovecot-imapd, dovecot-lmtpd, dovecot-submissiond and opensmtpd, and root; the mailboxes are empty after each start.
set -euo pipefail

home=${PEERS_HOME:-/var/lib/careline-peers}/mail

say() { printf '%s\n' "$*" >&2; }
fail() { say "mail: $*"; exit 1; }
is_open() { (echo > "/dev/tcp/127.0.0.1/$1") 2> /dev/null; }
is_up() { is_open 1143 && is_open 2525 && is_open 2587; }

write_dovecot() {
  cat > dovecot.conf << CONF
base_dir = $home/run/dovecot
state_dir = $home/run/state
instance_name = careline-peer
log_path = $home/dovecot.log
protocols = imap lmtp submission
listen = 127.0.0.1
hostname = localhost
ssl = yes
ssl_cert = <$home/cert.pem
ssl_key = <$home/key.pem
disable_plaintext_auth = no
mail_location = maildir:$home/mail/%n@%d/Maildir
mail_uid = vmail
mail_gid = vmail
first_valid_uid = 1
submission_relay_host = 127.0.0.1
submission_relay_port = 2525
submission_relay_trusted = yes
passdb {
  driver = passwd-file
  args = scheme=PLAIN username_format=%u $home/users
}
userdb {
  driver = static
  args = uid=vmail gid=vmail home=$home/mail/%n@%d allow_all_users=no
}
service imap-login {
  inet_listener imap {
    port = 1143
  }
  inet_listener imaps {
    port = 1993
    ssl = yes
  }
}
service lmtp {
  inet_listener lmtp {
    address = 127.0.0.1
    port = 2424
  }
}
service submission-login {
  inet_listener submission {
    port = 2587
  }
}
namespace inbox {
  inbox = yes
  separator = /
  mailbox Sent {
    special_use = \Sent
    auto = create
  }
}
CONF
}

start() {
  if is_up; then say "mail: already there"; return; fi
  command -v dovecot > /dev/null && command -v smtpd > /dev/null \
    || fail "dovecot or OpenSMTPD is missing (on Debian: apt-get install dovecot-imapd dovecot-lmtpd dovecot-submissiond opensmtpd)"
  mkdir -p "$home"; cd "$home"; chmod 755 .
  id vmail > /dev/null 2>&1 || useradd -r -M -d "$home/mail" -s /usr/sbin/nologin vmail
  mkdir -p run/dovecot run/state mail; chown vmail mail; rm -rf mail/*
  [ -f cert.pem ] || openssl req -x509 -newkey rsa:2048 -nodes -days 365 -keyout key.pem -out cert.pem -subj /CN=localhost \
    -addext 'subjectAltName=DNS:localhost,IP:127.0.0.1' 2> /dev/null
  for user in care@brand.test ana@cust.test bob@cust.test; do echo "$user:{PLAIN}hunter22"; done > users
  write_dovecot
  cat > smtpd.conf << CONF
smtp max-message-size 40M
listen on 127.0.0.1 port 2525
table vusers { "@" = vmail }
action "local" lmtp "127.0.0.1:2424" rcpt-to virtual <vusers>
match from any for any action "local"
CONF
  dovecot -c "$home/dovecot.conf" < /dev/null > /dev/null 2>&1
  setsid nohup smtpd -d -f "$home/smtpd.conf" < /dev/null > smtpd.log 2>&1 & echo $! > smtpd.pid
  for _ in $(seq 40); do if is_up; then say "mail: ready"; return; fi; sleep 0.25; done
  fail "the servers did not come up, see $home"
}

stop() {
  cd "$home" 2> /dev/null || return 0
  if [ -f smtpd.pid ]; then kill "$(cat smtpd.pid)" 2> /dev/null || true; rm -f smtpd.pid; fi
  doveadm -c dovecot.conf stop 2> /dev/null || true
}

case ${1:-} in
  start) start ;;
  stop) stop ;;
  status) if is_up; then say "mail: up"; else say "mail: down"; exit 1; fi ;;
  *) fail "start, stop or status?" ;;
esac
