/* Reading and writing of whole buffers. */
#ifndef RAKKR_BASE_IO_H
#define RAKKR_BASE_IO_H

#include <stdbool.h>
#include <stddef.h>

/*
 * Writes n bytes, through interruptions and short writes; false with errno otherwise, with some of them written maybe.
 */
bool io_write(int fd, const void *data, size_t n);

#endif
