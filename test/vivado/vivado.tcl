# SPDX-License-Identifier: Apache-2.0
# As much of Vivado as the scripts of OUT/vivado use, for tclsh: `tclsh vivado.tcl SCRIPT`. A command or an object that
# isn't known is an error, as in Vivado; files must exist; a block design is a graph of cells and pins, and validating it
# asks that everything is connected that has to be. BOARD_FILES names board parts that are "installed".
#
# Objects are their own names: "pin NAME", "interface NAME", "cell NAME", "run NAME", ...

set here [file dirname [file normalize [info script]]]
array set properties {}   ;# of objects, "OBJECT KEY"
array set cell_type {}    ;# by cell
array set pin_of {}       ;# direction of a pin, by name
array set interface_of {} ;# side of an interface, by name: master or slave
array set connected {}    ;# nets of pins and of interfaces
set files {}
set addresses 0
set log {}

proc said {text} {lappend ::log $text}
proc need {condition text} {if {![uplevel 1 [list expr $condition]]} {error $text}}

# Words of a command: `flags` stand alone, `options` take a value. Gives the rest.
proc words {given flags options} {
  upvar option option
  set rest {}
  for {set i 0} {$i < [llength $given]} {incr i} {
    set word [lindex $given $i]
    if {[lsearch -exact $flags $word] >= 0} {
      set option($word) 1
    } elseif {[lsearch -exact $options $word] >= 0} {
      set option($word) [lindex $given [incr i]]
    } elseif {[string match -* $word] && ![string is double $word]} {
      error "unknown option '$word'"
    } else {
      lappend rest $word
    }
  }
  return $rest
}

proc create_project {args} {
  set rest [words $args {-force -in_memory} {-part}]
  said "project [lindex $rest 0] of $option(-part)"
  if {[llength $rest]} {file mkdir [lindex $rest 1]}
  set ::project $rest
}
proc close_project {} {unset ::project}
proc current_project {} {return "project [lindex $::project 0]"}
proc current_fileset {} {return "fileset sources_1"}
proc get_filesets {name} {need {$name eq "sources_1"} "no fileset '$name'"; return "fileset $name"}
proc get_board_parts {args} {
  set pattern [words $args {-quiet} {}]
  set known [expr {[info exists ::env(BOARD_FILES)] ? $::env(BOARD_FILES) : {}}]
  return [lsearch -all -inline $known [lindex $pattern 0]]
}
proc add_files {args} {
  foreach name [concat {*}[words $args {-norecurse} {}]] {
    need {[file isfile $name]} "there is no file '$name'"
    lappend ::files $name
  }
}
proc get_files {args} {
  set pattern [lindex [words $args {} {-of_objects}] 0]
  set found {}
  foreach name $::files {
    if {[string match $pattern [file tail $name]]} {lappend found "file $name"}
  }
  need {[llength $found]} "no files match '$pattern'"
  return $found
}
proc update_compile_order {args} {words $args {} {-fileset}}
proc read_xdc {args} {
  set file [open [words $args {} {-mode}]]
  said [string trim [read $file]]
  close $file
}

proc set_property {args} {
  if {[lindex $args 0] eq "-quiet"} {set args [lrange $args 1 end]}
  if {[lindex $args 0] eq "-dict"} {
    set pairs [lindex $args 1]
    set objects [lindex $args 2]
  } else {
    set pairs [lrange $args 0 1]
    set objects [lindex $args 2]
  }
  need {[llength $args] == 3 && [llength $objects] > 0 && [llength $pairs] % 2 == 0} "set_property $args"
  if {[llength $objects] == 2 && [lindex $objects 0] in {cell project fileset pin interface run ip}} {set objects [list $objects]}
  foreach object $objects {
    foreach {key value} $pairs {
      set ::properties($object,$key) $value
      if {[lindex $object 0] eq "cell"} {configure [lindex $object 1] $key $value}
    }
  }
}
proc get_property {key object} {
  if {$key eq "CONFIG.FREQ_HZ"} {return 99999001}
  if {$key eq "DIRECTORY"} {return [file join [lindex $::project 1] impl_1]}
  if {$key eq "PROGRESS"} {return 100%}
  if {$key eq "STATUS"} {return failed}
  if {$key eq "STATS.WNS"} {return [expr {[info exists ::env(SLACK)] ? $::env(SLACK) : 0.5}]}
  if {$key eq "SLACK"} {return 2.5}
  return $::properties($object,$key)
}

# --- block designs ---
proc create_bd_design {name} {set ::block_design $name}
proc get_ipdefs {args} {
  set pattern [lindex [words $args {-all} {}] 0]
  foreach {type version} {processing_system7 5.5 zynq_ultra_ps_e 3.4 zynq_ultra_ps_e 3.5 smartconnect 1.0 proc_sys_reset 5.0 clk_wiz 6.0} {
    lappend known xilinx.com:ip:$type:$version
  }
  return [lsearch -all -inline $known $pattern]
}
proc pins {cell direction args} {foreach pin $args {set ::pin_of($cell/$pin) $direction}}
proc interface {cell side name} {set ::interface_of($cell/$name) $side}

proc create_bd_cell {args} {
  set name [words $args {} {-type -vlnv -reference}]
  need {![info exists ::cell_type($name)]} "there is a cell '$name'"
  if {$option(-type) eq "module"} {
    read_module $name $option(-reference)
    set ::cell_type($name) module
    return "cell $name"
  }
  need {[llength [get_ipdefs -all $option(-vlnv)]] == 1} "there is no IP '$option(-vlnv)'"
  set type [lindex [split $option(-vlnv) :] 2]
  set ::cell_type($name) $type
  switch $type {
    smartconnect {pins $name in aclk aresetn}
    proc_sys_reset {pins $name in slowest_sync_clk ext_reset_in; pins $name optional dcm_locked; pins $name out peripheral_aresetn interconnect_aresetn}
    clk_wiz {pins $name in clk_in1; pins $name out clk_out1 locked}
  }
  return "cell $name"
}
# Ports of a module of the project, which must be Verilog for a block design to take it.
proc read_module {cell module} {
  set path [lindex [get_files $module.v] 0]
  set file [open [lindex $path 1]]
  set text [read $file]
  close $file
  need {[regexp "module $module \\((.*?)\\n\\);" $text whole ports]} "no module '$module'"
  foreach {whole direction range port} [regexp -all -inline {(input |output) wire( \[\d+:0\])? (\w+)} $ports] {
    if {[regexp {^(.*)_(tvalid|arvalid|awvalid)$} $port whole prefix]} {
      interface $cell [expr {$direction eq "output" ? "master" : "slave"}] $prefix
    } elseif {[regexp {clk$|resetn$} $port]} {
      pins $cell in $port
    }
  }
}
# What settings bring forth.
proc configure {cell key value} {
  set type $::cell_type($cell)
  if {$type eq "smartconnect" && $key eq "CONFIG.NUM_SI"} {
    for {set i 0} {$i < $value} {incr i} {interface $cell slave [format S%02d_AXI $i]}
  } elseif {$type eq "smartconnect" && $key eq "CONFIG.NUM_MI"} {
    for {set i 0} {$i < $value} {incr i} {interface $cell master [format M%02d_AXI $i]}
  } elseif {$type eq "clk_wiz" && $key eq "CONFIG.CLKOUT2_USED"} {
    pins $cell out clk_out2
  } elseif {$type eq "processing_system7" && $value eq "1"} {
    switch -regexp -matchvar match $key {
      {^CONFIG.PCW_USE_(M_AXI_GP\d)$} {interface $cell master [lindex $match 1]; pins $cell in [lindex $match 1]_ACLK}
      {^CONFIG.PCW_USE_(S_AXI_HP\d)$} {interface $cell slave [lindex $match 1]; pins $cell in [lindex $match 1]_ACLK}
      {^CONFIG.PCW_EN_CLK0_PORT$} {pins $cell out FCLK_CLK0}
      {^CONFIG.PCW_EN_RST0_PORT$} {pins $cell out FCLK_RESET0_N}
      default {error "the processor has no setting '$key'"}
    }
  } elseif {$type eq "zynq_ultra_ps_e" && $value eq "1"} {
    switch -regexp -matchvar match $key {
      {^CONFIG.PSU__USE__M_AXI_GP0$} {interface $cell master M_AXI_HPM0_FPD; pins $cell in maxihpm0_fpd_aclk}
      {^CONFIG.PSU__USE__S_AXI_GP([2-5])$} {
        set port [expr {[lindex $match 1] - 2}]
        interface $cell slave S_AXI_HP${port}_FPD
        pins $cell in saxihp${port}_fpd_aclk
      }
      {^CONFIG.PSU__FPGA_PL0_ENABLE$} {pins $cell out pl_clk0 pl_resetn0}
      default {error "the processor has no setting '$key'"}
    }
  }
}
proc get_bd_cells {name} {need {[info exists ::cell_type($name)]} "no cell '$name'"; return "cell $name"}
proc get_bd_pins {name} {need {[info exists ::pin_of($name)]} "no pin '$name'"; return "pin $name"}
proc get_bd_intf_pins {name} {need {[info exists ::interface_of($name)]} "no interface '$name'"; return "interface $name"}
proc connect_bd_net {from to} {
  set from [lindex $from 1]
  set to [lindex $to 1]
  need {$::pin_of($from) eq "out" && $::pin_of($to) ne "out"} "$from to $to"
  need {![info exists ::connected($to)]} "$to is connected twice"
  set ::connected($to) $from
  said "net $from $to"
}
proc connect_bd_intf_net {from to} {
  set from [lindex $from 1]
  set to [lindex $to 1]
  need {$::interface_of($from) eq "master" && $::interface_of($to) eq "slave"} "$from to $to"
  need {![info exists ::connected($from)] && ![info exists ::connected($to)]} "$from or $to is connected twice"
  set ::connected($from) $to
  set ::connected($to) $from
  said "interface $from $to"
}
proc apply_bd_automation {args} {
  set cells [words $args {} {-rule -config}]
  need {[llength $option(-config)] % 2 == 0} "odd settings: $option(-config)"
  said "automation $option(-rule) $option(-config)"
}
proc assign_bd_address {} {set ::addresses 1}
proc validate_bd_design {} {
  need {$::addresses} "no addresses"
  foreach {pin direction} [array get ::pin_of] {
    need {$direction ne "in" || [info exists ::connected($pin)]} "$pin is not connected"
  }
  foreach interface [array names ::interface_of] {
    need {[info exists ::connected($interface)]} "$interface is not connected"
  }
  said "validated"
}
proc save_bd_design {} {lappend ::files $::block_design.bd}
proc make_wrapper {args} {
  words $args {-top} {-files}
  set path [file join [lindex $::project 1] system_wrapper.v]
  close [open $path w]
  return $path
}

# --- implementation ---
proc get_runs {name} {return "run $name"}
proc launch_runs {args} {
  words $args {} {-to_step -jobs}
  set name [lindex $::project 0]
  foreach path [list [file join [lindex $::project 1] impl_1 system_wrapper.bit] \
    [file join [lindex $::project 1] $name.gen sources_1 bd system hw_handoff system.hwh]] {
    file mkdir [file dirname $path]
    close [open $path w]
  }
}
proc wait_on_run {run} {}
proc synth_design {args} {
  words $args {} {-top -part -mode -flatten_hierarchy}
  said "synthesis of $option(-top) in $option(-mode)"
}
proc opt_design {} {}
proc place_design {} {}
proc phys_opt_design {} {}
proc route_design {} {}
proc write_checkpoint {args} {close [open [words $args {-force} {}] w]}
proc get_timing_paths {args} {words $args {-setup} {-max_paths}; return "path worst"}
proc report_timing_summary {args} {words $args {} {-file}; close [open $option(-file) w]}
proc report_utilization {args} {
  words $args {-hierarchical -return_string} {-file}
  if {[info exists option(-file)]} {close [open $option(-file) w]}
  return "
| Slice LUTs                 | 2218 |     0 |          0 |     53200 |  4.17 |
|   LUT as Logic             | 2100 |     0 |          0 |     53200 |  3.95 |
| Slice Registers            | 1733 |     0 |          0 |    106400 |  1.63 |
| Block RAM Tile             |  1.5 |     0 |          0 |       140 |  1.07 |
| DSPs                       |    3 |     0 |          0 |       220 |  1.36 |
"
}

# --- packaging ---
namespace eval ipx {
  proc package_project {args} {
    ::words $args {-import_files -force} {-root_dir -vendor -library -taxonomy}
    file mkdir $option(-root_dir)
    ::said "package with top $::properties(fileset sources_1,top)"
  }
  proc current_core {} {return "ip core"}
  proc create_xgui_files {core} {}
  proc update_checksums {core} {}
  proc check_integrity {core} {}
  proc save_core {core} {::said "saved"}
}

set status [catch {source [lindex $argv 0]} message options]
foreach line $log {puts $line}
foreach {key value} [array get properties] {puts "property $key = $value"}
if {$status} {
  puts stderr "$message\n[dict get $options -errorinfo]"
  exit 1
}
