// Imitates NVML without GPUs. nvmlInit_v2 reads the file that FURROW_FAKE_NVML names:
//   init CODE                    nvmlInit_v2 returns CODE
//   count CODE                   nvmlDeviceGetCount_v2 returns CODE
//   driver VERSION
//   gpu UUID MEMORY_BYTES NAME   adds a GPU; NAME runs to the end of the line
// These lines describe the GPU, or MIG instance, before them:
//   mig UUID MEMORY_BYTES NAME   adds an instance of the GPU; MIG is on
//   no_mig                       the GPU cannot do MIG at all
//   process PID BYTES            a process computes on the device
//   handle CODE                  asking for the device's handle returns CODE
//   fail CODE                    every question about the device returns CODE
// With FAKE_NVML_OLD defined this NVML lacks nvmlDeviceGetUUID, as no true NVML does.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/devices/nvml_api.h"

enum { kMost = 64 };

struct nvmlDevice_st {
  char uuid[96];
  char name[96];
  unsigned long long memory;
  int is_mig, parent, no_mig, handle, fail;
  unsigned int processes;
  nvmlProcessInfo_t process[kMost * 2];
};

static struct nvmlDevice_st devices[kMost];
static int device_count, count_code, alive;
static char driver[80];

static int ReadScript(const char* path) {
  FILE* file = fopen(path, "r");
  if (file == NULL) return 999;
  char line[512];
  int init = 0, parent = -1;
  struct nvmlDevice_st* last = NULL;
  memset(devices, 0, sizeof(devices));
  device_count = count_code = 0;
  strcpy(driver, "535.183.01");
  while (fgets(line, sizeof(line), file) != NULL) {
    char word[32], uuid[96], name[96];
    unsigned long long number;
    int code;
    line[strcspn(line, "\n")] = '\0';
    if (sscanf(line, "init %d", &code) == 1) {
      init = code;
    } else if (sscanf(line, "count %d", &code) == 1) {
      count_code = code;
    } else if (sscanf(line, "driver %79s", driver) == 1) {
    } else if (sscanf(line, "%31s %95s %llu %95[^\n]", word, uuid, &number, name) == 4 && device_count < kMost) {
      last = &devices[device_count];
      strcpy(last->uuid, uuid);
      strcpy(last->name, name);
      last->memory = number;
      last->is_mig = strcmp(word, "mig") == 0;
      if (!last->is_mig) parent = device_count;
      last->parent = parent;
      ++device_count;
    } else if (last != NULL && strcmp(line, "no_mig") == 0) {
      last->no_mig = 1;
    } else if (last != NULL && sscanf(line, "process %d %llu", &code, &number) == 2 && last->processes < kMost * 2) {
      nvmlProcessInfo_t info = {(unsigned int)code, number, 0, 0};
      last->process[last->processes++] = info;
    } else if (last != NULL && sscanf(line, "handle %d", &code) == 1) {
      last->handle = code;
    } else if (last != NULL && sscanf(line, "fail %d", &code) == 1) {
      last->fail = code;
    } else if (line[0] != '\0') {
      fprintf(stderr, "fake NVML: cannot read the line: %s\n", line);
      abort();
    }
  }
  fclose(file);
  return init;
}

nvmlReturn_t nvmlInit_v2(void) {
  const char* path = getenv("FURROW_FAKE_NVML");
  const int code = path == NULL ? NVML_ERROR_DRIVER_NOT_LOADED : ReadScript(path);
  if (code == 0) ++alive;
  return code;
}

nvmlReturn_t nvmlShutdown(void) {
  if (alive-- <= 0) abort();  // NVML was never initialised, or is shut down twice
  return NVML_SUCCESS;
}

const char* nvmlErrorString(nvmlReturn_t code) {
  return code == 999 ? "Unknown Error" : "Some Error";
}

nvmlReturn_t nvmlSystemGetDriverVersion(char* version, unsigned int length) {
  snprintf(version, length, "%s", driver);
  return NVML_SUCCESS;
}

// Returns the `index`-th GPU, or the `index`-th instance of `parent`.
static struct nvmlDevice_st* Find(int parent, unsigned int index) {
  for (int i = 0; i < device_count; ++i) {
    const int fits = parent < 0 ? !devices[i].is_mig : devices[i].is_mig && devices[i].parent == parent;
    if (fits && index-- == 0) return &devices[i];
  }
  return NULL;
}

nvmlReturn_t nvmlDeviceGetCount_v2(unsigned int* count) {
  for (*count = 0; Find(-1, *count) != NULL;) ++*count;
  return count_code;
}

nvmlReturn_t nvmlDeviceGetHandleByIndex_v2(unsigned int index, nvmlDevice_t* device) {
  *device = Find(-1, index);
  return *device == NULL ? NVML_ERROR_INVALID_ARGUMENT : (*device)->handle;
}

static nvmlReturn_t CopyText(nvmlDevice_t device, const char* text, char* out, unsigned int length) {
  if (device->fail != 0) return device->fail;
  if (strlen(text) >= length) return NVML_ERROR_INSUFFICIENT_SIZE;
  strcpy(out, text);
  return NVML_SUCCESS;
}

#ifndef FAKE_NVML_OLD
nvmlReturn_t nvmlDeviceGetUUID(nvmlDevice_t device, char* uuid, unsigned int length) {
  return CopyText(device, device->uuid, uuid, length);
}
#endif

nvmlReturn_t nvmlDeviceGetName(nvmlDevice_t device, char* name, unsigned int length) {
  return CopyText(device, device->name, name, length);
}

nvmlReturn_t nvmlDeviceGetMemoryInfo(nvmlDevice_t device, nvmlMemory_t* memory) {
  if (device->fail != 0) return device->fail;
  memory->total = memory->free = device->memory;
  memory->used = 0;
  return NVML_SUCCESS;
}

nvmlReturn_t nvmlDeviceGetMigMode(nvmlDevice_t device, unsigned int* current, unsigned int* pending) {
  if (device->fail != 0) return device->fail;
  if (device->no_mig) return NVML_ERROR_NOT_SUPPORTED;
  *current = *pending = Find((int)(device - devices), 0) == NULL ? NVML_DEVICE_MIG_DISABLE : NVML_DEVICE_MIG_ENABLE;
  return NVML_SUCCESS;
}

nvmlReturn_t nvmlDeviceGetMaxMigDeviceCount(nvmlDevice_t device, unsigned int* count) {
  *count = device->no_mig ? 0 : 7;
  return NVML_SUCCESS;
}

nvmlReturn_t nvmlDeviceGetMigDeviceHandleByIndex(nvmlDevice_t device, unsigned int index, nvmlDevice_t* mig) {
  *mig = Find((int)(device - devices), index);
  return *mig == NULL ? NVML_ERROR_NOT_FOUND : NVML_SUCCESS;
}

nvmlReturn_t nvmlDeviceGetComputeRunningProcesses_v3(nvmlDevice_t device, unsigned int* count,
                                                     nvmlProcessInfo_t* infos) {
  const unsigned int room = *count;
  *count = device->processes;
  if (room < device->processes) return NVML_ERROR_INSUFFICIENT_SIZE;
  memcpy(infos, device->process, device->processes * sizeof(*infos));
  return NVML_SUCCESS;
}
