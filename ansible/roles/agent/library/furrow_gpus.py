#!/usr/bin/python
# Says which GPUs a machine has, as NVIDIA's management library counts them: the one that the agent asks, too.
"""Ansible module; changes nothing."""

import ctypes
import glob

from ansible.module_utils.basic import AnsibleModule

DOCUMENTATION = r"""
module: furrow_gpus
short_description: Says which NVIDIA GPUs a machine has
description: Asks NVML, and the PCI bus where there is no NVML. Changes nothing.
options:
  library:
    description: NVML, a path or a name for the dynamic linker. Empty means libnvidia-ml.so.1.
    type: str
    default: ""
"""

RETURN = r"""
driver:
  description: Version of the driver; empty where there is none that works.
gpus:
  description: Names of the GPUs that the driver knows.
on_bus:
  description: How many NVIDIA GPUs are on the PCI bus.
summary:
  description: All of it in one line.
"""


def on_bus():
    count = 0
    for folder in glob.glob("/sys/bus/pci/devices/*"):
        try:
            with open(folder + "/vendor") as vendor, open(folder + "/class") as kind:
                # 0x0300: VGA, 0x0302: 3D, 0x0380: display
                if vendor.read().strip() == "0x10de" and kind.read()[:6] in ("0x0300", "0x0302", "0x0380"):
                    count += 1
        except OSError:
            pass
    return count


def ask_nvml(library):
    """(driver version, GPU names, why it does not work)."""
    try:
        nvml = ctypes.CDLL(library)
    except OSError as error:
        return "", [], str(error)
    nvml.nvmlErrorString.restype = ctypes.c_char_p

    def failed(code):
        return nvml.nvmlErrorString(code).decode(errors="replace")

    code = nvml.nvmlInit_v2()
    if code != 0:
        return "", [], failed(code)
    text = ctypes.create_string_buffer(96)
    driver = text.value.decode() if nvml.nvmlSystemGetDriverVersion(text, 80) == 0 else "of unknown version"
    count = ctypes.c_uint(0)
    code = nvml.nvmlDeviceGetCount_v2(ctypes.byref(count))
    names, why = [], "" if code == 0 else failed(code)
    for index in range(count.value):
        device = ctypes.c_void_p()
        code = nvml.nvmlDeviceGetHandleByIndex_v2(index, ctypes.byref(device))
        if code == 0:
            code = nvml.nvmlDeviceGetName(device, text, 96)
        if code == 0:
            names.append(text.value.decode(errors="replace"))
        else:
            why = "GPU %d: %s" % (index, failed(code))
    nvml.nvmlShutdown()
    return driver, names, why


def say(driver, names, why, bus):
    if not driver:
        if bus == 0:
            return "no NVIDIA GPU on the PCI bus, and no driver"
        return "%d NVIDIA GPUs on the PCI bus, but the driver does not work: %s" % (bus, why)
    kinds = ", ".join("%d × %s" % (names.count(name), name) for name in sorted(set(names)))
    line = "NVIDIA driver %s, %s" % (driver, kinds or "no GPU")
    return line + ("; " + why if why else "")


def main():
    module = AnsibleModule(argument_spec={"library": {"type": "str", "default": ""}}, supports_check_mode=True)
    driver, names, why = ask_nvml(module.params["library"] or "libnvidia-ml.so.1")
    bus = on_bus()
    module.exit_json(changed=False, driver=driver, gpus=names, on_bus=bus, summary=say(driver, names, why, bus))


if __name__ == "__main__":
    main()
