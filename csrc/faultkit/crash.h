/* The report of a fatal signal: the guarded buffer that was overrun, if it was that, and the stack of C functions. */
#ifndef LOOPPROOF_FAULTKIT_CRASH_H
#define LOOPPROOF_FAULTKIT_CRASH_H

/* Report to `descriptor` from now on, before what handled the signals until now has its turn. Returns 0 or an errno. */
int fk_crash_report_to(int descriptor);

/* See to it that crashes are reported: to standard error if fk_crash_report_to() was not called, and before a handler
 * that was installed after ours. Costs one system call if so already. Returns 0 or an errno. */
int fk_crash_keep_reporting(void);

#endif
