# SPDX-License-Identifier: Apache-2.0
# The design as IP for a block design of your own.
#
#   vivado -mode batch -source vivado/package_ip.tcl
#
# leaves vivado/ip, a folder to add to the IP repositories of a project.
set here [file dirname [file normalize [info script]]]
source [file join $here design.tcl]
source [file join $here common.tcl]

create_project -force ${name}_ip [file join $here ip_project] -part $part
add_design $here $top
ipx::package_project -root_dir [file join $here ip] -vendor foldstream -library networks -taxonomy /UserIP \
  -import_files -force
set core [ipx::current_core]
set_property name $name $core
set_property display_name "$name, a network by Foldstream" $core
set_property description "Streaming dataflow accelerator" $core
set_property version 1.0 $core
set_property ipi_drc {ignore_freq_hz true} $core
ipx::create_xgui_files $core
ipx::update_checksums $core
ipx::check_integrity $core
ipx::save_core $core
close_project
puts "written to [file join $here ip]"
