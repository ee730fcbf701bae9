// octroi/app/hardening.h: what a server asks of the system for the secrets in its memory. None of
// it is needed to start: where the system says no, a line in the log says so.
//
// Thread   start-up, before secrets are read and threads run.
#pragma once

namespace octroi::app {

/// No core dump, no tracing by other processes of this user, and as much locked memory as the
/// system's hard limit allows.
void harden_process();

/// After the secrets have been read: tells when some of them may be swapped.
void tell_of_unlocked_secrets();

}  // namespace octroi::app
