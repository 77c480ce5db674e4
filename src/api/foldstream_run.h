/* SPDX-License-Identifier: Apache-2.0 */
/* Runs a QONNX model on this machine's processor, with the integers that its accelerator computes.
 * The library neither prints nor exits, and lets no exception out.
 *
 *   fs_network* network;
 *   char error[256];
 *   if (fs_load("model.onnx", NULL, &network, error, sizeof error) != FS_OK) ...
 *   fs_run(network, inputs, outputs, frames, error, sizeof error);
 *   fs_free(network);
 */
#ifndef FOLDSTREAM_RUN_H
#define FOLDSTREAM_RUN_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define FS_API __attribute__((visibility("default")))

enum {
  FS_OK = 0,
  FS_WRONG_USE = 1,    /* what was given is wrong; the message says what and what to do */
  FS_OUT_OF_MEMORY = 2 /* nothing was run */
};

/* How elements lie in a caller's array, one frame after the other. */
enum { FS_FLOAT32 = 0, FS_INT32 = 1, FS_INT64 = 2, FS_UINT8 = 3 };

typedef struct fs_network fs_network;

typedef struct {
  int threads;            /* 0: one for each core; more than cores is an error */
  double byte_scale;      /* above 0: float inputs come as bytes b that stand for b / byte_scale */
  const char* input_type; /* NULL, or as the command's option --input-type: "u8" */
  double input_scale;     /* as --input-scale; 0 for 1 */
  const char* instructions; /* NULL for the best level that the machine has, or "AVX2" ... */
} fs_options;

typedef struct {
  const char* name; /* lives as long as the network */
  int element;      /* FS_FLOAT32 ... */
  size_t rank;
  const int64_t* shape; /* of one frame */
  size_t bytes;         /* of one frame */
} fs_port;

/* `options` may be NULL. On an error *network is NULL and `error`, where not NULL, holds a message
 * of at most `error_bytes` with its terminating zero. */
FS_API int fs_load(const char* path, const fs_options* options, fs_network** network, char* error,
                   size_t error_bytes);
FS_API void fs_free(fs_network* network); /* NULL is allowed */

FS_API size_t fs_input_count(const fs_network* network);
FS_API size_t fs_output_count(const fs_network* network);
FS_API int fs_input(const fs_network* network, size_t index, fs_port* port);
FS_API int fs_output(const fs_network* network, size_t index, fs_port* port);

/* Runs `frames` frames; arrays of frames * bytes for every input and output. One call at a time for
 * a network; networks are independent of one another. */
FS_API int fs_run(fs_network* network, const void* const* inputs, void* const* outputs,
                  int64_t frames, char* error, size_t error_bytes);

#ifdef __cplusplus
}
#endif

#endif
