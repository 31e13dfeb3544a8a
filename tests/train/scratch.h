/* A folder for one test's files, emptied and made anew. */
#ifndef TESTS_TRAIN_SCRATCH_H
#define TESTS_TRAIN_SCRATCH_H

/* Below the working directory. Static names: one test program, one thread. Returns buf, "FOLDER". */
const char *scratch_dir(const char *name, char *buf, unsigned size);
/* The file's content as text to be freed; fails the test when it can't be read. */
char *scratch_read(const char *path, unsigned long *size);

#endif
