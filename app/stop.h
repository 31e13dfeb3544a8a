/* Ctrl-C and SIGTERM set a flag that the callbacks of long calls look at; a second one ends the program at once. */
#ifndef APP_STOP_H
#define APP_STOP_H

#include <stdbool.h>

void stop_listen(void);
bool stop_asked(void);

#endif
