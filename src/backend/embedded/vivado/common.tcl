# SPDX-License-Identifier: Apache-2.0
# What the scripts of this folder share. They read design.tcl first, which says what the design is.
set jobs [expr {[info exists ::env(JOBS)] ? $::env(JOBS) : 4}]

# The paths of a list, which design.tcl names from this folder.
proc paths {here names} {
  set all {}
  foreach name $names {lappend all [file normalize [file join $here $name]]}
  return $all
}

# The design's files in the open project; the top is Verilog, as block designs and packaged IP want it.
proc add_design {here top} {
  global sources memories include_folders
  add_files -norecurse [paths $here $sources]
  set_property file_type SystemVerilog [get_files -of_objects [get_filesets sources_1] *.sv]
  if {[llength $memories]} {
    add_files -norecurse [paths $here $memories]
    set_property file_type {Memory Initialization Files} [get_files -of_objects [get_filesets sources_1] *.mem]
  }
  set_property include_dirs [paths $here $include_folders] [get_filesets sources_1]
  set_property top $top [get_filesets sources_1]
  update_compile_order -fileset sources_1
}
