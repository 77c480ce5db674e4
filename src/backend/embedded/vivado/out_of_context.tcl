# SPDX-License-Identifier: Apache-2.0
# Size and clock of the design alone, placed and routed without pins.
#
#   vivado -mode batch -source vivado/out_of_context.tcl
#
# leaves vivado/out_of_context.json, and Vivado's own reports in vivado/out_of_context.
set here [file dirname [file normalize [info script]]]
source [file join $here design.tcl]
source [file join $here common.tcl]

set folder [file join $here out_of_context]
file mkdir $folder
create_project -in_memory -part $part
add_design $here $stream_top
set constraints [file join $folder clocks.xdc]
set file [open $constraints w]
puts $file "create_clock -name aclk -period [format %.3f [expr {1000.0 / $clock_mhz}]] \[get_ports aclk\]"
if {$memory_clock_ratio > 1} {
  puts $file "create_clock -name memory_aclk -period\
    [format %.3f [expr {1000.0 / $clock_mhz / $memory_clock_ratio}]] \[get_ports memory_aclk\]"
}
close $file
read_xdc -mode out_of_context $constraints

synth_design -top $stream_top -part $part -mode out_of_context -flatten_hierarchy rebuilt
opt_design
place_design
phys_opt_design
route_design
report_utilization -hierarchical -file [file join $folder utilization.txt]
report_timing_summary -file [file join $folder timing.txt]
write_checkpoint -force [file join $folder $name.dcp]

set table [report_utilization -return_string]
# The number used in the first of the table's rows that is called so.
proc used {table names} {
  foreach name $names {
    if {[regexp -line "^\\| *$name\\*? *\\| *(\[0-9.\]+) *\\|" $table whole count]} {return $count}
  }
  return 0
}
set slack [get_property SLACK [get_timing_paths -setup -max_paths 1]]
set limit [expr {1000.0 / (1000.0 / $clock_mhz - $slack)}]
set file [open [file join $here out_of_context.json.part] w]
puts $file "{"
puts $file "  \"part\": \"$part\","
puts $file "  \"LUT\": [used $table {{CLB LUTs} {Slice LUTs}}],"
puts $file "  \"FF\": [used $table {{CLB Registers} {Slice Registers}}],"
puts $file "  \"BRAM_18K\": [expr {int(2 * [used $table {{Block RAM Tile}}])}],"
puts $file "  \"URAM\": [used $table {URAM}],"
puts $file "  \"DSP\": [used $table {DSPs {DSP Slices}}],"
puts $file "  \"clock_mhz\": $clock_mhz,"
puts $file "  \"slack_ns\": $slack,"
puts $file "  \"fmax_mhz\": [format %.1f $limit]"
puts $file "}"
close $file
file rename -force [file join $here out_of_context.json.part] [file join $here out_of_context.json]
puts "[format %.1f $limit] MHz; written to [file join $here out_of_context.json]"
