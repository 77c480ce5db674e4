# SPDX-License-Identifier: Apache-2.0
# A bitstream for the board: the processor, the accelerator, and what joins them.
#
#   vivado -mode batch -source vivado/system.tcl
#
# leaves driver/NAME.bit and driver/NAME.hwh, which driver/accelerator.py loads.
set here [file dirname [file normalize [info script]]]
source [file join $here design.tcl]
source [file join $here common.tcl]

create_project -force $name [file join $here project] -part $part
set board_parts [lsort -dictionary [get_board_parts -quiet "*:$board_files:part0:*"]]
set has_board [expr {[llength $board_parts] > 0}]
if {$has_board} {
  set_property board_part [lindex $board_parts end] [current_project]
} else {
  puts "NOTE: no board files of $board_files are installed. Clocks and ports of the fabric are set, pins and memory of the\
    processor are not: fine for PYNQ, which has set them up before it loads a bitstream."
}
add_design $here $top

create_bd_design system
proc cell {type name settings} {
  set newest [lindex [lsort -dictionary [get_ipdefs -all "xilinx.com:ip:$type:*"]] end]
  if {$newest eq ""} {error "this Vivado has no $type"}
  set made [create_bd_cell -type ip -vlnv $newest $name]
  if {[llength $settings]} {set_property -dict $settings $made}
  return $made
}
proc join_interfaces {from to} {connect_bd_intf_net [get_bd_intf_pins $from] [get_bd_intf_pins $to]}
proc join_pins {from args} {
  foreach to $args {connect_bd_net [get_bd_pins $from] [get_bd_pins $to]}
}

# The processor: one port to control, one for frames, up to three for weights.
set weight_ports [expr {min([llength $weight_masters], 3)}]
if {$processor eq "zynq"} {
  cell processing_system7 processor {}
  set preset {}
  if {$has_board} {
    set preset {apply_board_preset "1"}
  } else {
    set_property CONFIG.PCW_CRYSTAL_PERIPHERAL_FREQMHZ $crystal_mhz [get_bd_cells processor]
  }
  apply_bd_automation -rule xilinx.com:bd_rule:processing_system7 \
    -config [list make_external "FIXED_IO, DDR" {*}$preset Master Disable Slave Disable] [get_bd_cells processor]
  set settings [list CONFIG.PCW_USE_M_AXI_GP0 1 CONFIG.PCW_USE_M_AXI_GP1 0 \
    CONFIG.PCW_EN_CLK0_PORT 1 CONFIG.PCW_EN_RST0_PORT 1 CONFIG.PCW_FPGA0_PERIPHERAL_FREQMHZ $clock_mhz]
  for {set i 0} {$i <= $weight_ports} {incr i} {
    lappend settings CONFIG.PCW_USE_S_AXI_HP$i 1 CONFIG.PCW_S_AXI_HP${i}_DATA_WIDTH 64
    lappend memory_ports S_AXI_HP$i
    lappend port_clocks S_AXI_HP${i}_ACLK
  }
  set_property -dict $settings [get_bd_cells processor]
  set control_port M_AXI_GP0
  lappend port_clocks M_AXI_GP0_ACLK
  set processor_clock processor/FCLK_CLK0
  set processor_reset processor/FCLK_RESET0_N
} else {
  cell zynq_ultra_ps_e processor {}
  if {$has_board} {
    apply_bd_automation -rule xilinx.com:bd_rule:zynq_ultra_ps_e -config {apply_board_preset "1"} [get_bd_cells processor]
  }
  set settings [list CONFIG.PSU__USE__M_AXI_GP0 1 CONFIG.PSU__USE__M_AXI_GP1 0 CONFIG.PSU__USE__M_AXI_GP2 0 \
    CONFIG.PSU__FPGA_PL0_ENABLE 1 CONFIG.PSU__CRL_APB__PL0_REF_CTRL__FREQMHZ $clock_mhz]
  for {set i 0} {$i <= $weight_ports} {incr i} {
    set number [expr {$i + 2}]
    lappend settings CONFIG.PSU__USE__S_AXI_GP$number 1 CONFIG.PSU__SAXIGP${number}__DATA_WIDTH 128
    lappend memory_ports S_AXI_HP${i}_FPD
    lappend port_clocks saxihp${i}_fpd_aclk
  }
  set_property -dict $settings [get_bd_cells processor]
  set control_port M_AXI_HPM0_FPD
  lappend port_clocks maxihpm0_fpd_aclk
  set processor_clock processor/pl_clk0
  set processor_reset processor/pl_resetn0
}

# Clocks. A memory clock comes from the same generator as the design's, so that they share edges.
create_bd_cell -type module -reference $top accelerator
cell proc_sys_reset reset {}
set clock $processor_clock
if {$memory_clock_ratio > 1} {
  set mhz [expr {[get_property CONFIG.FREQ_HZ [get_bd_pins $processor_clock]] / 1e6}]
  cell clk_wiz clocks [list CONFIG.PRIM_SOURCE No_buffer CONFIG.PRIM_IN_FREQ $mhz CONFIG.USE_RESET false \
    CONFIG.CLKOUT1_REQUESTED_OUT_FREQ $mhz CONFIG.CLKOUT2_USED true \
    CONFIG.CLKOUT2_REQUESTED_OUT_FREQ [expr {$mhz * $memory_clock_ratio}]]
  join_pins $processor_clock clocks/clk_in1
  join_pins clocks/locked reset/dcm_locked
  join_pins clocks/clk_out2 accelerator/memory_aclk
  set clock clocks/clk_out1
}
join_pins $clock accelerator/aclk reset/slowest_sync_clk
# Not every Vivado takes the frequency of a module's interfaces from its clock by itself.
set hertz [get_property CONFIG.FREQ_HZ [get_bd_pins $clock]]
foreach interface [concat s_axilite $frame_masters $weight_masters] {
  set_property -quiet CONFIG.FREQ_HZ $hertz [get_bd_intf_pins accelerator/$interface]
}
foreach port $port_clocks {join_pins $clock processor/$port}
join_pins $processor_reset reset/ext_reset_in
join_pins reset/peripheral_aresetn accelerator/aresetn

# Each port of memory has a connection of its own.
proc connection {name masters slave} {
  upvar clock clock
  cell smartconnect $name [list CONFIG.NUM_SI [llength $masters] CONFIG.NUM_MI 1]
  join_pins $clock $name/aclk
  join_pins reset/interconnect_aresetn $name/aresetn
  for {set i 0} {$i < [llength $masters]} {incr i} {
    join_interfaces [lindex $masters $i] $name/[format "S%02d_AXI" $i]
  }
  join_interfaces $name/M00_AXI $slave
}
connection control [list processor/$control_port] accelerator/s_axilite
set frames {}
foreach master $frame_masters {lappend frames accelerator/$master}
connection frames $frames processor/[lindex $memory_ports 0]
for {set i 0} {$i < $weight_ports} {incr i} {
  set masters {}
  for {set j $i} {$j < [llength $weight_masters]} {incr j $weight_ports} {
    lappend masters accelerator/[lindex $weight_masters $j]
  }
  connection weights_$i $masters processor/[lindex $memory_ports [expr {$i + 1}]]
}
assign_bd_address
validate_bd_design
save_bd_design

set wrapper [make_wrapper -files [get_files system.bd] -top]
add_files -norecurse $wrapper
set_property top system_wrapper [current_fileset]
update_compile_order -fileset sources_1
launch_runs impl_1 -to_step write_bitstream -jobs $jobs
wait_on_run impl_1
if {[get_property PROGRESS [get_runs impl_1]] ne "100%"} {
  error "the bitstream was not made: [get_property STATUS [get_runs impl_1]]"
}
set slack [get_property STATS.WNS [get_runs impl_1]]
set driver [file join [file dirname $here] driver]
file copy -force [file join [get_property DIRECTORY [get_runs impl_1]] system_wrapper.bit] [file join $driver $name.bit]
set handoff [glob -nocomplain [file join $here project $name.gen sources_1 bd system hw_handoff system.hwh] \
  [file join $here project $name.srcs sources_1 bd system hw_handoff system.hwh]]
if {![llength $handoff]} {error "Vivado left no system.hwh"}
file copy -force [lindex $handoff 0] [file join $driver $name.hwh]
puts "slack $slack ns at $clock_mhz MHz; written to [file join $driver $name.bit]"
if {$slack < 0} {error "timing is not met: $slack ns; build for a lower --clock"}
