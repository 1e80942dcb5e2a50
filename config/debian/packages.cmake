# The Debian packages: what goes where, and what CPack needs to know. `./farm package` builds them.
#
#   furrow, furrow-controller, furrow-agent (with furrow-runner), furrow-torch
#   furrow-torch-cuda   instead of furrow-torch, with FURROW_TORCH_PACKAGE=furrow-torch-cuda: the same source against the
#                       LibTorch of Torch_DIR. Looks for it in FURROW_LIBTORCH on the machines.
set(FURROW_TORCH_PACKAGE furrow-torch CACHE STRING "furrow-torch, or furrow-torch-cuda for a LibTorch that no package has")
set(FURROW_LIBTORCH /opt/furrow/libtorch CACHE STRING "Where furrow-torch-cuda finds LibTorch on the machines")
set(CPACK_PACKAGE_CONTACT "Furrow maintainers <maintainers@furrow.example>")

set(packaging ${CMAKE_BINARY_DIR}/packaging)
set(here ${CMAKE_CURRENT_LIST_DIR})
find_program(GZIP gzip REQUIRED)
find_package(Python3 COMPONENTS Interpreter)

# The packages are for the release of Debian on which they are built: their dependencies are its libraries.
set(FURROW_DEBIAN unstable)
set(unit_folder /lib/systemd/system)
if(EXISTS /etc/os-release)
  file(STRINGS /etc/os-release release REGEX "^(VERSION_CODENAME|VERSION_ID)=")
  foreach(line IN LISTS release)
    if(line MATCHES "^VERSION_CODENAME=(.*)$")
      set(FURROW_DEBIAN ${CMAKE_MATCH_1})
    elseif(line MATCHES "^VERSION_ID=\"?([0-9]+)" AND CMAKE_MATCH_1 GREATER_EQUAL 13)
      set(unit_folder /usr/lib/systemd/system)  # Since Debian 13 no package has files in /lib.
    endif()
  endforeach()
endif()

# Dates by the commit, so that the same source gives the same packages.
execute_process(COMMAND git log -1 --format=%cD WORKING_DIRECTORY ${CMAKE_SOURCE_DIR}
  OUTPUT_VARIABLE FURROW_DATE OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)
if(NOT FURROW_DATE)
  string(TIMESTAMP FURROW_DATE "%a, %d %b %Y %H:%M:%S +0000" UTC)
endif()

set(compressed)

# compress(FILE OUTPUT): OUTPUT is FILE.gz as Debian wants it, without a name and a time in it.
function(compress file output)
  add_custom_command(OUTPUT ${output} COMMAND sh -c "gzip -9nc '${file}' > '${output}'" DEPENDS ${file} VERBATIM)
  set(compressed ${compressed} ${output} PARENT_SCOPE)
endfunction()

# man_page(COMPONENT NAME VERB SUBJECT): config/man/NAME.in through command_help.py.
function(man_page component name verb subject)
  configure_file(${CMAKE_SOURCE_DIR}/config/man/${name}.in ${packaging}/${name}.in @ONLY)
  string(REGEX REPLACE ".*\\." "" section ${name})
  set(page ${packaging}/${name})
  if(verb STREQUAL plain)
    configure_file(${packaging}/${name}.in ${page} COPYONLY)
  else()
    set(from ${subject})
    if(TARGET ${subject})
      set(from $<TARGET_FILE:${subject}>)
    endif()
    add_custom_command(OUTPUT ${page}
      COMMAND sh -c "'${Python3_EXECUTABLE}' '${CMAKE_SOURCE_DIR}/config/command_help.py' ${verb} '${from}' '${packaging}/${name}.in' > '${page}'"
      DEPENDS ${subject} ${packaging}/${name}.in ${CMAKE_SOURCE_DIR}/config/command_help.py VERBATIM)
  endif()
  compress(${page} ${page}.gz)
  set(compressed ${compressed} PARENT_SCOPE)
  install(FILES ${page}.gz DESTINATION share/man/man${section} COMPONENT ${component})
endfunction()

# completions(COMPONENT PROGRAM): for bash and zsh.
function(completions component program)
  foreach(shell bash zsh)
    set(output ${packaging}/${program}.${shell})
    add_custom_command(OUTPUT ${output}
      COMMAND sh -c "'${Python3_EXECUTABLE}' '${CMAKE_SOURCE_DIR}/config/command_help.py' ${shell} '$<TARGET_FILE:${program}>' > '${output}'"
      DEPENDS ${program} ${CMAKE_SOURCE_DIR}/config/command_help.py VERBATIM)
    list(APPEND compressed ${output})
  endforeach()
  install(FILES ${packaging}/${program}.bash DESTINATION share/bash-completion/completions RENAME ${program}
    COMPONENT ${component})
  install(FILES ${packaging}/${program}.zsh DESTINATION share/zsh/vendor-completions RENAME _${program}
    COMPONENT ${component})
  set(compressed ${compressed} PARENT_SCOPE)
endfunction()

# debian_package(COMPONENT PACKAGE PROGRAM…): the programs and what every package has.
function(debian_package component package)
  install(TARGETS ${ARGN} DESTINATION bin COMPONENT ${component})
  install(FILES ${here}/copyright DESTINATION share/doc/${package} COMPONENT ${component})
  install(FILES ${packaging}/changelog.gz DESTINATION share/doc/${package} COMPONENT ${component})
  if(EXISTS ${here}/${package}.lintian-overrides)
    install(FILES ${here}/${package}.lintian-overrides DESTINATION share/lintian/overrides RENAME ${package}
      COMPONENT ${component})
  endif()
  string(TOUPPER ${component} upper)
  set(CPACK_DEBIAN_${upper}_PACKAGE_NAME ${package} PARENT_SCOPE)
  set(CPACK_DEBIAN_${upper}_FILE_NAME DEB-DEFAULT PARENT_SCOPE)
  set(programs ${programs} ${ARGN} PARENT_SCOPE)
  set(CPACK_COMPONENTS_ALL ${CPACK_COMPONENTS_ALL} ${component} PARENT_SCOPE)
endfunction()

# daemon(COMPONENT PACKAGE): unit, configuration and maintainer scripts, made from daemon.*.in with the variables
# user, state, state_mode, groups, ends_jobs; daemon.end.in goes into prerm and postrm.
function(daemon component package)
  install(FILES ${CMAKE_SOURCE_DIR}/config/${component}.yaml DESTINATION /etc/furrow COMPONENT ${component})
  install(FILES ${CMAKE_SOURCE_DIR}/config/systemd/${package}.service DESTINATION ${unit_folder}
    COMPONENT ${component})
  set(conffile /etc/furrow/${component}.yaml)
  file(CONFIGURE OUTPUT ${packaging}/${component}/conffiles CONTENT "${conffile}\n")
  set(control ${packaging}/${component}/conffiles)
  file(READ ${here}/daemon.end.in end)
  string(CONFIGURE "${end}" end @ONLY)
  foreach(script postinst prerm postrm)
    configure_file(${here}/daemon.${script}.in ${packaging}/${component}/${script} @ONLY FILE_PERMISSIONS
      OWNER_READ OWNER_WRITE OWNER_EXECUTE GROUP_READ GROUP_EXECUTE WORLD_READ WORLD_EXECUTE)
    list(APPEND control ${packaging}/${component}/${script})
  endforeach()
  string(TOUPPER ${component} upper)
  set(CPACK_DEBIAN_${upper}_PACKAGE_CONTROL_EXTRA "${control}" PARENT_SCOPE)
endfunction()

configure_file(${here}/changelog.in ${packaging}/changelog @ONLY)
compress(${packaging}/changelog ${packaging}/changelog.gz)

# ---- packages --------------------------------------------------------------------------------------

set(programs)
set(CPACK_COMPONENTS_ALL)

debian_package(cli furrow furrow)
man_page(cli furrow.1 man furrow)
completions(cli furrow)
set(CPACK_COMPONENT_CLI_DESCRIPTION "build farm for teams that train models: command line
Submits folders and commits to a Furrow farm, follows their runs, shows logs,
metrics and artifacts. Together with furrow-controller and furrow-agent it is
a whole farm on one machine: furrow up.")
set(CPACK_DEBIAN_CLI_PACKAGE_SUGGESTS "furrow-controller, furrow-agent, git")

debian_package(controller furrow-controller furrow-controller)
man_page(controller furrow-controller.8 man furrow-controller)
man_page(controller furrow-controller.yaml.5 yaml ${CMAKE_SOURCE_DIR}/config/controller.yaml)
completions(controller furrow-controller)
set(user furrow)
set(state /var/lib/furrow)
set(state_mode 0750)
set(groups "")
set(ends_jobs no)
daemon(controller furrow-controller)
set(CPACK_COMPONENT_CONTROLLER_DESCRIPTION "build farm for teams that train models: controller
Accepts runs of training and testing pipelines, plans them onto machines, and
keeps their history, logs, metrics and artifacts. One machine of a Furrow
farm has it.")
set(CPACK_DEBIAN_CONTROLLER_PACKAGE_DEPENDS "adduser, furrow (>= ${FURROW_VERSION})")
set(CPACK_DEBIAN_CONTROLLER_PACKAGE_SUGGESTS "git")

debian_package(agent furrow-agent furrow-agent furrow-runner)
man_page(agent furrow-agent.8 man furrow-agent)
man_page(agent furrow-agent.yaml.5 yaml ${CMAKE_SOURCE_DIR}/config/agent.yaml)
man_page(agent furrow-runner.8 plain "")
completions(agent furrow-agent)
set(user furrow-agent)
set(state /var/lib/furrow-agent)
set(state_mode 0700)
set(groups "video render")
set(ends_jobs yes)
daemon(agent furrow-agent)
set(CPACK_COMPONENT_AGENT_DESCRIPTION "build farm for teams that train models: agent
Offers a machine's processors, memory and GPUs to the controller of a Furrow
farm and runs the jobs that it is given. Every machine that runs jobs has it.")
set(CPACK_DEBIAN_AGENT_PACKAGE_DEPENDS "adduser")
set(CPACK_DEBIAN_AGENT_PACKAGE_RECOMMENDS "furrow-torch")

if(TARGET furrow-torch)
  debian_package(torch ${FURROW_TORCH_PACKAGE} furrow-torch)
  man_page(torch furrow-torch.1 plain "")
  # Debian's LibTorch takes any BLAS; with the reference one, which comes with it, it is several times slower.
  set(CPACK_DEBIAN_TORCH_PACKAGE_RECOMMENDS "libopenblas0-openmp")
  add_custom_target(torch_package_ready
    DEPENDS furrow-torch ${packaging}/changelog.gz ${packaging}/furrow-torch.1.gz)
  set(CPACK_COMPONENT_TORCH_DESCRIPTION "build farm for teams that train models: train and evaluate steps
Trains and measures TorchScript modules with LibTorch in jobs of a Furrow
farm. Machines whose jobs have such steps need it beside furrow-agent.")
  if(FURROW_TORCH_PACKAGE STREQUAL furrow-torch-cuda)
    # Both have /usr/bin/furrow-torch. LibTorch is no package: nothing to depend on, and where it lies is written here.
    set_target_properties(furrow-torch PROPERTIES INSTALL_RPATH ${FURROW_LIBTORCH}/lib)
    string(APPEND CPACK_COMPONENT_TORCH_DESCRIPTION "
This build is for a LibTorch with CUDA, in ${FURROW_LIBTORCH}.")
    unset(CPACK_DEBIAN_TORCH_PACKAGE_RECOMMENDS)
    set(CPACK_DEBIAN_TORCH_PACKAGE_CONFLICTS "furrow-torch")
    set(CPACK_DEBIAN_TORCH_PACKAGE_REPLACES "furrow-torch")
    set(CPACK_DEBIAN_TORCH_PACKAGE_PROVIDES "furrow-torch (= ${FURROW_VERSION})")
    get_filename_component(libtorch ${Torch_DIR}/../../.. REALPATH)
    set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS_PRIVATE_DIRS ${libtorch}/lib)
    # Where Debian's LibTorch is installed too and has the same soname, it would be depended on nevertheless.
    execute_process(COMMAND dpkg-query -W -f "\${Package};" "libtorch[0-9]*" OUTPUT_VARIABLE packaged ERROR_QUIET)
    list(FILTER packaged INCLUDE REGEX "^libtorch[0-9.]+$")
    list(TRANSFORM packaged PREPEND "-x")
    list(JOIN packaged " " packaged)
    file(CONFIGURE OUTPUT ${packaging}/cpack.cmake CONTENT "set(SHLIBDEPS_EXECUTABLE dpkg-shlibdeps ${packaged})\n")
    set(CPACK_PROJECT_CONFIG_FILE ${packaging}/cpack.cmake)
  elseif(NOT FURROW_TORCH_PACKAGE STREQUAL furrow-torch)
    message(FATAL_ERROR "FURROW_TORCH_PACKAGE is ${FURROW_TORCH_PACKAGE}: furrow-torch or furrow-torch-cuda")
  endif()
endif()

# What users run, without tests and benches: all that the demo needs.
add_custom_target(programs DEPENDS ${programs})
# Everything that is packed, and nothing else. torch_package_ready: what the one package needs.
add_custom_target(packages_ready DEPENDS ${compressed} ${programs})

set(CPACK_GENERATOR DEB)
set(CPACK_DEB_COMPONENT_INSTALL ON)
set(CPACK_PACKAGE_NAME furrow)
set(CPACK_PACKAGE_VERSION ${FURROW_VERSION})
set(CPACK_PACKAGE_VENDOR Furrow)
set(CPACK_PACKAGING_INSTALL_PREFIX /usr)
set(CPACK_STRIP_FILES ON)
set(CPACK_INSTALL_DEFAULT_DIRECTORY_PERMISSIONS
  OWNER_READ OWNER_WRITE OWNER_EXECUTE GROUP_READ GROUP_EXECUTE WORLD_READ WORLD_EXECUTE)
set(CPACK_DEBIAN_PACKAGE_SECTION devel)
set(CPACK_DEBIAN_PACKAGE_PRIORITY optional)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_PACKAGE_CONTROL_STRICT_PERMISSION ON)
set(CPACK_DEBIAN_COMPRESSION_TYPE xz)
include(CPack)
